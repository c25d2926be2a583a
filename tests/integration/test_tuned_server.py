"""A running server follows choices.json, says why, and tells the lengths of its traffic to the next tuning."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

import grpc
from bertline.inference.v1 import inference_pb2 as pb
from bertline.inference.v1 import inference_pb2_grpc

from export.host import host_class
from export.registry import Registry
from export.tuning.traffic import lengths_of_file
from services.inference.assembly import InferenceServer
from services.inference.settings import InferenceSettings
from tests.fakes.host_choice import host_choice
from tests.fakes.tiny_variants import Tiny, publish_variants

TEXTS = ["the bank cut its rate", "球队赢了比赛", "robot software", "robot"]


async def asked(registry: Path, texts: list[str]) -> tuple[str, str]:
    """The variant that answers, and the server's /metrics."""
    settings = InferenceSettings(
        registry=str(registry), port=0, metrics_port=0, threads=1, state_dir=registry / "state", calibration="off"
    )
    server = await InferenceServer.start(settings)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            stub = inference_pb2_grpc.InferenceServiceStub(channel)
            request = pb.ClassifyRequest(
                model=pb.ModelSelector(name="tiny"), inputs=[pb.TextInput(text=text) for text in texts]
            )
            reply = await stub.Classify(request, timeout=10)
        url = f"http://127.0.0.1:{server.metrics_port}/metrics"
        page = await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=10).read())
    finally:
        await server.stop(1.0, 0.0)
    return reply.model.variant, page.decode()


def count(page: str, variant: str, why: str) -> bool:
    return f'bertline_inference_variants_chosen_total{{model="tiny",variant="{variant}",why="{why}"}} 1.0' in page


async def test_a_server_takes_the_choice_for_its_hosts_and_says_so(tmp_path: Path) -> None:
    publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8")])
    variant, page = await asked(tmp_path, TEXTS)
    assert variant == "fp32"
    assert count(page, "fp32", "order")
    Registry(str(tmp_path)).add_choice("tiny", 1, host_choice(host_class(), "int8"))
    variant, page = await asked(tmp_path, TEXTS)
    assert variant == "int8"
    assert count(page, "int8", "host_class")


async def test_a_spoiled_file_of_choices_is_no_reason_not_to_serve(tmp_path: Path) -> None:
    publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8")])
    (tmp_path / "tiny" / "choices.json").write_text("{", encoding="utf-8")
    variant, page = await asked(tmp_path, TEXTS)
    assert variant == "fp32"
    assert count(page, "fp32", "order")


async def test_a_servers_metrics_hold_the_lengths_that_the_next_tuning_reads(tmp_path: Path) -> None:
    publish_variants(tmp_path, [Tiny("fp32")])
    _, page = await asked(tmp_path, TEXTS)
    file = tmp_path / "metrics.txt"
    file.write_text(page, encoding="utf-8")
    lengths = lengths_of_file(file, "tiny")
    assert len(lengths.sorted) == len(TEXTS)
    assert lengths.at(0.0) <= 4  # "robot" between two special tokens
    assert lengths.at(1.0) >= 7

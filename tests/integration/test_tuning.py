"""`python -m export tune` measures real variants, and a server takes what was chosen for hosts like its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import Bundle
from export.choices import HostChoice
from export.host import host_class
from export.registry import Registry
from services.inference.loading import LoadedModel, load
from services.inference.metrics import Metrics
from services.inference.scheduling.scheduler import Scheduler
from services.inference.settings import InferenceSettings
from tests.fakes.tiny_variants import Tiny, publish_variants

SLOW = 24
STEM = host_class().replace("/", "-")
LENGTHS = {5: 10, 9: 60, 20: 9}


def tuned(registry: Path, name: str, *flags: str, code: int = 0) -> str:
    out = str(registry / "pages")
    given = ["tune", name, "--registry", str(registry), "--seconds", "3", "--out", out, *flags]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


def only_choice(registry: Path, bundle: Bundle) -> HostChoice:
    (choice,) = Registry(str(registry)).choices(bundle.manifest)
    return choice


async def loaded(registry: Path, bundle: Bundle, state: Path) -> LoadedModel:
    scheduler = Scheduler(1)
    try:
        settings = InferenceSettings(state_dir=state, threads=1, calibration="off")
        return load(bundle, settings, scheduler, Metrics(), Registry(str(registry)).choices(bundle.manifest))
    finally:
        await scheduler.close()


async def test_the_faster_variant_is_chosen_and_a_server_takes_it(tmp_path: Path) -> None:
    variants = [Tiny("fp32", work=SLOW), Tiny("int8", agreement=0.985)]
    bundle = publish_variants(tmp_path, variants, token_lengths=LENGTHS)
    assert (await loaded(tmp_path, bundle, tmp_path)).variant.name == "fp32"
    said = tuned(tmp_path, "tiny")
    assert f"chosen for {host_class()}" in said
    choice = only_choice(tmp_path, bundle)
    assert (choice.host_class, choice.latency, choice.throughput) == (host_class(), "int8", "int8")
    shown = CliRunner().invoke(app, ["show", "tiny", "--registry", str(tmp_path)]).output
    assert f"best on {host_class()} under load int8, for a text alone int8" in " ".join(shown.split())
    assert choice.lengths.model_dump() == {"source": "validation rows", "texts": 79, "median": 9, "p99": 20}
    figures = {each.variant: each for each in choice.measured}
    assert figures["int8"].throughput.high < 0.7
    assert figures["int8"].narrow.relative.high < 0.7
    assert figures["int8"].narrow.median_ms < figures["fp32"].narrow.median_ms
    assert (await loaded(tmp_path, bundle, tmp_path)).variant.name == "int8"


async def test_of_equally_fast_variants_the_better_proven_one_is_chosen(tmp_path: Path) -> None:
    variants = [
        Tiny("fp32", work=SLOW),
        Tiny("int8-weak", work=SLOW // 4, agreement=0.981),
        Tiny("int8-good", work=SLOW // 4, agreement=0.997),
    ]
    bundle = publish_variants(tmp_path, variants, token_lengths=LENGTHS)
    tuned(tmp_path, "tiny", "--seconds", "6")
    assert only_choice(tmp_path, bundle).throughput == "int8-good"
    assert (await loaded(tmp_path, bundle, tmp_path)).variant.name == "int8-good"


async def test_a_variant_with_wrong_golden_answers_is_neither_compared_nor_served(tmp_path: Path) -> None:
    variants = [Tiny("int8-fast", wrong=True), Tiny("int8", work=6), Tiny("fp32", work=SLOW)]
    bundle = publish_variants(tmp_path, variants, token_lengths=LENGTHS)
    assert "not compared int8-fast: its golden answers are wrong here" in tuned(tmp_path, "tiny")
    choice = only_choice(tmp_path, bundle)
    assert choice.throughput == "int8"
    assert list(choice.refused) == ["int8-fast"]
    assert (await loaded(tmp_path, bundle, tmp_path)).variant.name == "int8"


def test_a_variant_that_cannot_be_opened_here_is_left_out(tmp_path: Path) -> None:
    bundle = publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8", broken=True)], token_lengths=LENGTHS)
    assert "not compared int8: it cannot be opened here" in tuned(tmp_path, "tiny")
    assert only_choice(tmp_path, bundle).throughput == "fp32"


async def test_a_server_falls_back_where_the_chosen_variant_answers_wrongly(tmp_path: Path) -> None:
    """The choice was made where the variant was right, on another host of this class."""
    right = publish_variants(tmp_path / "there", [Tiny("fp32", work=SLOW), Tiny("int8")], token_lengths=LENGTHS)
    tuned(tmp_path / "there", "tiny")
    choice = only_choice(tmp_path / "there", right)
    here = tmp_path / "here"
    wrong = publish_variants(here, [Tiny("fp32", work=SLOW), Tiny("int8", wrong=True)])
    Registry(str(here)).add_choice("tiny", 1, choice)
    assert choice.throughput == "int8"
    assert (await loaded(here, wrong, tmp_path)).variant.name == "fp32"


def test_the_page_shows_the_front_the_choice_and_every_variant(tmp_path: Path) -> None:
    texts = tmp_path / "客服 <b>.csv"
    texts.write_text("text\n" + "bank market\n我的卡丢了 goal\n" * 20, encoding="utf-8")
    publish_variants(tmp_path, [Tiny("fp32", work=SLOW), Tiny("int8", agreement=0.985)])
    tuned(tmp_path, "tiny", "--texts", str(texts), "--version", "stable")
    page = (tmp_path / "pages" / f"{STEM}.html").read_text(encoding="utf-8")
    assert (tmp_path / "pages" / f"{STEM}.png").read_bytes().startswith(b"\x89PNG")
    assert "客服 &lt;b&gt;.csv" in page
    assert "<b>.csv" not in page
    assert "data:image/png;base64," in page
    assert re.search(r'<tr class="chosen"><td>int8</td>.*98\.50 %', page)
    assert re.search(r"<tr><td>fp32</td>.*1\.00 \(1\.00-1\.00\)", page)


def test_an_encoder_is_tuned_likewise(tmp_path: Path) -> None:
    variants = [Tiny("fp32"), Tiny("int8", agreement=0.95)]
    bundle = publish_variants(tmp_path, variants, name="vectors", embedding=True, token_lengths=LENGTHS)
    tuned(tmp_path, "vectors")
    assert "same neighbour" in (tmp_path / "pages" / f"{STEM}.html").read_text(encoding="utf-8")
    # the graphs are equal: what cannot be told apart by speed is chosen by proof
    assert only_choice(tmp_path, bundle).throughput == "fp32"


def test_without_write_the_registry_stays_as_it_is(tmp_path: Path) -> None:
    bundle = publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8")], token_lengths=LENGTHS)
    tuned(tmp_path, "tiny", "--no-write")
    assert Registry(str(tmp_path)).choices(bundle.manifest) == []
    assert not (tmp_path / "tiny" / "choices.json").exists()


def test_lengths_may_come_from_a_file(tmp_path: Path) -> None:
    bundle = publish_variants(tmp_path, [Tiny("fp32"), Tiny("int8")])
    file = tmp_path / "lengths.json"
    file.write_text(json.dumps({"6": 50, "400": 50}), encoding="utf-8")
    tuned(tmp_path, "tiny", "--lengths", str(file), "--version", "1")
    assert only_choice(tmp_path, bundle).lengths.p99 == bundle.manifest.max_length


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (("--version", "7"), "no version 7"),
        (("--version", "canary"), "no label 'canary'"),
        (("--texts", "a.csv", "--lengths", "b.txt"), "give one of them"),
        (("--texts", "gone.csv"), "gone.csv does not exist"),
    ],
)
def test_what_cannot_be_is_said_in_words(tmp_path: Path, flags: tuple[str, ...], why: str) -> None:
    publish_variants(tmp_path, [Tiny("fp32")], token_lengths=LENGTHS)
    assert why in tuned(tmp_path, "tiny", *flags, code=2)


def test_variants_for_another_device_are_left_out(tmp_path: Path) -> None:
    bundle = publish_variants(
        tmp_path, [Tiny("fp32"), Tiny("fp16", device="cuda"), Tiny("int8")], token_lengths=LENGTHS
    )
    tuned(tmp_path, "tiny")
    assert {each.variant for each in only_choice(tmp_path, bundle).measured} == {"fp32", "int8"}

"""Calls that a server must refuse, or answer with errors for single texts, and the statuses that are right for them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from bertline.inference.v1 import inference_pb2 as pb
from google.protobuf.message import Message
from open_inference import grpc_service_pb2 as oip

from benchmarks.messages import OPEN_PATH, PATH, SERVICE

OK, INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION, UNIMPLEMENTED = 0, 3, 5, 9, 12
GOOD = pb.TextInput(text="where is my card")


@dataclass(frozen=True, slots=True)
class Malformed:
    """One kind. `statuses` are the right ones when the server is not too busy to look."""

    name: str
    path: str
    message: bytes
    statuses: tuple[int, ...]


def kinds(model: str) -> list[Malformed]:
    """All kinds, for a classifier of single texts."""
    return [*_bytes(), *_classify(model), *_other_methods(model), *_open_inference(model)]


def _bytes() -> Iterable[Malformed]:
    for name, path in (("Classify", PATH), ("ModelInfer", OPEN_PATH)):
        yield Malformed(f"{name}: no protobuf", path, b"\xff" * 40, (INVALID_ARGUMENT,))
        yield Malformed(f"{name}: a cut message", path, b"\x0a\x7f" + b"x" * 20, (INVALID_ARGUMENT,))
    text = b"\x0a\x02\xc3\x28"  # TextInput.text of bytes that are no UTF-8
    yield Malformed("Classify: no UTF-8", PATH, b"\x12" + bytes([len(text)]) + text, (INVALID_ARGUMENT,))


def _classify(model: str) -> Iterable[Malformed]:
    def asked(name: str, status: int, request: pb.ClassifyRequest) -> Malformed:
        if not request.HasField("model"):
            request.model.name = model
        if not request.inputs and name != "no inputs":
            request.inputs.append(GOOD)
        return Malformed(f"Classify: {name}", PATH, request.SerializeToString(), (status,))

    request, selector, options = pb.ClassifyRequest, pb.ModelSelector, pb.CallOptions
    yield asked("no inputs", INVALID_ARGUMENT, request())
    yield asked("too many inputs", INVALID_ARGUMENT, request(inputs=[GOOD] * 300))
    yield asked("a blank text", OK, request(inputs=[pb.TextInput(text=" \n")]))
    yield asked("a pair", OK, request(inputs=[pb.TextInput(text="one", text_pair="two")]))
    yield asked("a text too long", OK, request(inputs=[pb.TextInput(text="x " * 60_000)]))
    yield asked("unknown model", NOT_FOUND, request(model=selector(name="nobody")))
    yield asked("malformed model", INVALID_ARGUMENT, request(model=selector(name="../" * 50)))
    yield asked("unknown label", NOT_FOUND, request(model=selector(name=model, label="nobody")))
    yield asked("unknown version", NOT_FOUND, request(model=selector(name=model, version=1 << 62)))
    yield asked("negative top_k", INVALID_ARGUMENT, request(top_k=-1))
    yield asked("threshold no number", INVALID_ARGUMENT, request(threshold=math.nan))
    yield asked("unknown priority", INVALID_ARGUMENT, request(options=options(priority=99)))  # type: ignore[arg-type]  # on purpose
    windows = pb.Windows(overlap_tokens=1 << 30)
    yield asked("windows that stand still", INVALID_ARGUMENT, request(options=options(windows=windows)))
    both = options(windows=pb.Windows(), truncation=pb.TRUNCATION_LEFT)
    yield asked("windows and truncation", INVALID_ARGUMENT, request(options=both))
    yield asked("long routing key", INVALID_ARGUMENT, request(options=options(routing_key="k" * 300)))


def _other_methods(model: str) -> Iterable[Malformed]:
    selector = pb.ModelSelector(name=model)
    others: dict[str, Message] = {
        "Embed": pb.EmbedRequest(model=selector, inputs=[GOOD]),
        "Tag": pb.TagRequest(model=selector, inputs=[GOOD]),
        "Score": pb.ScoreRequest(model=selector, query="one", candidates=["two"]),
    }
    for name, message in others.items():
        what = f"{name}: of a classifier"
        yield Malformed(what, f"/{SERVICE}/{name}", message.SerializeToString(), (FAILED_PRECONDITION,))
    yield Malformed("no such method", f"/{SERVICE}/Guess", b"", (UNIMPLEMENTED,))
    yield Malformed("no such service", "/nobody.Service/Guess", b"", (UNIMPLEMENTED,))


def _open_inference(model: str) -> Iterable[Malformed]:
    tensor = oip.ModelInferRequest.InferInputTensor
    contents = oip.InferTensorContents(bytes_contents=[b"one"])
    text = tensor(name="text", datatype="BYTES", shape=[1], contents=contents)

    def asked(name: str, request: oip.ModelInferRequest, status: int = INVALID_ARGUMENT) -> Malformed:
        request.model_name = request.model_name or model
        return Malformed(f"ModelInfer: {name}", OPEN_PATH, request.SerializeToString(), (status,))

    request = oip.ModelInferRequest
    yield asked("no inputs", request())
    yield asked("unknown model", request(model_name="nobody", inputs=[text]), NOT_FOUND)
    yield asked("wrong datatype", request(inputs=[tensor(name="text", datatype="FP32", shape=[1])]))
    yield asked(
        "negative shape", request(inputs=[tensor(name="text", datatype="BYTES", shape=[-1], contents=contents)])
    )
    yield asked("shape too large", request(inputs=[tensor(name="text", datatype="BYTES", shape=[1 << 62])]))
    raw = tensor(name="text", datatype="BYTES", shape=[1])
    yield asked("raw count", request(inputs=[raw], raw_input_contents=[b"", b""]))
    yield asked("raw length lies", request(inputs=[raw], raw_input_contents=[b"\xff\xff\xff\x7fx"]))
    yield asked("sent twice", request(inputs=[text, text]))
    ids = tensor(name="input_ids", datatype="INT64", shape=[1, 1])
    ids.contents.int64_contents.append(1 << 40)
    mask = tensor(name="attention_mask", datatype="INT64", shape=[1, 1])
    mask.contents.int64_contents.append(1)
    yield asked("ids outside the vocabulary", request(inputs=[ids, mask]))
    yield asked("texts and ids", request(inputs=[text, ids]))
    late = request(inputs=[text])
    late.parameters["timeout"].int64_param = -5
    yield asked("negative timeout", late)
    output = oip.ModelInferRequest.InferRequestedOutputTensor(name="nobody")
    yield asked("unknown output", request(inputs=[text], outputs=[output]))

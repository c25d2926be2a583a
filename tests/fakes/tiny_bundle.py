"""A real bundle that is made in milliseconds: a bag of words in ONNX behind a WordPiece tokenizer.

Every label has a few words of its own, English and Chinese; a text's label is that of most of its words. The graph has
the inputs and the output of a fine-tuned BERT: embeddings of tokens and segments, mean over the mask, a linear layer.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from export.bundle import MANIFEST, Bundle, entry
from export.golden import Golden, GoldenVariant, tolerance
from export.manifest import Calibration, Host, Manifest, ParityProof, Variant
from export.registry import Registry

WORDS = {
    "business": ["bank", "rate", "shares", "market", "profit", "银", "行", "股", "市"],
    "sports": ["goal", "match", "team", "coach", "season", "球", "队", "比", "赛"],
    "technology": ["chip", "phone", "software", "robot", "data", "芯", "片", "手", "机"],
}
LABELS = list(WORDS)
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
VOCABULARY = SPECIAL + [word for words in WORDS.values() for word in words]
STRENGTH = 12.0


def publish_tiny(
    registry: Path, name: str = "tiny", *, pair: bool = False, max_length: int = 32, label: str | None = "stable"
) -> Bundle:
    """Publishes a new version of the model and points `label` at it."""
    with tempfile.TemporaryDirectory() as aside:
        folder = Path(aside)
        _tokenizer().save(str(folder / "tokenizer.json"))
        onnx.save(_graph(), folder / "fp32.onnx")
        (folder / "README.md").write_text("# tiny\n", encoding="utf-8")
        (folder / "golden.json").write_text(_golden(folder).model_dump_json(), encoding="utf-8")
        (folder / MANIFEST).write_text(_manifest(folder, name, pair, max_length).model_dump_json(), encoding="utf-8")
        bundle = Registry(str(registry)).publish(folder)
    if label is not None:
        Registry(str(registry)).set_label(name, label, bundle.manifest.version)
    return bundle


def _tokenizer() -> Tokenizer:
    ids = {word: index for index, word in enumerate(VOCABULARY)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])],
    )
    return tokenizer


def _graph() -> onnx.ModelProto:
    size = len(LABELS)
    tokens = np.zeros((len(VOCABULARY), size), np.float32)
    for column, words in enumerate(WORDS.values()):
        tokens[[VOCABULARY.index(word) for word in words], column] = 1.0
    constants = {
        "tokens": tokens,
        "segments": np.array([[0.0] * size, [0.01] + [0.0] * (size - 1)], np.float32),
        "weight": STRENGTH * np.eye(size, dtype=np.float32),
        # without a word of any label the answer is still definite: the last label
        "bias": np.linspace(0.0, 0.2, size, dtype=np.float32),
        "second": np.array([1], np.int64),
        "third": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["tokens", "input_ids"], ["token"]),
        helper.make_node("Gather", ["segments", "token_type_ids"], ["segment"]),
        helper.make_node("Add", ["token", "segment"], ["hidden"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "third"], ["column"]),
        helper.make_node("Mul", ["hidden", "column"], ["real"]),
        helper.make_node("ReduceSum", ["real", "second"], ["sum"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "second"], ["count"], keepdims=1),
        helper.make_node("Div", ["sum", "count"], ["mean"]),
        helper.make_node("MatMul", ["mean", "weight"], ["linear"]),
        helper.make_node("Add", ["linear", "bias"], ["logits"]),
    ]
    shape = ["batch", "sequence"]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, shape)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", size])
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "tiny", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _golden(folder: Path) -> Golden:
    ids = [[2, 5, 6, 3], [2, 14, 3], [2, 23, 24, 1, 3]]
    types = [[0] * len(row) for row in ids]
    session = onnxruntime.InferenceSession(str(folder / "fp32.onnx"), providers=["CPUExecutionProvider"])
    logits: NDArray[np.float32] = np.concatenate(
        [
            session.run(
                ["logits"],
                {
                    "input_ids": np.array([row], np.int64),
                    "attention_mask": np.ones((1, len(row)), np.int64),
                    "token_type_ids": np.array([kinds], np.int64),
                },
            )[0]
            for row, kinds in zip(ids, types, strict=True)
        ]
    )
    answers = GoldenVariant(tolerance=tolerance("fp32", logits), logits=logits.tolist())
    return Golden(input_ids=ids, token_type_ids=types, variants={"fp32": answers})


def _manifest(folder: Path, name: str, pair: bool, max_length: int) -> Manifest:
    proof = ParityProof(
        rows=3,
        max_logit_difference=0.0,
        mean_logit_difference=0.0,
        agreement=1.0,
        reference_accuracy=1.0,
        accuracy=1.0,
        flips_with_batch_mates=0.0,
        shapes_checked=["length 3"],
        passed=True,
        reasons=[],
    )
    variant = Variant(
        name="fp32", file=entry(folder / "fp32.onnx"), precision="fp32", device="any", recipe={}, parity=proof
    )
    return Manifest(
        name=name,
        version=1,
        task="single_label_classification",
        labels=LABELS,
        pair=pair,
        max_length=max_length,
        pad_token_id=0,
        tokenizer=entry(folder / "tokenizer.json"),
        golden=entry(folder / "golden.json"),
        model_card=entry(folder / "README.md"),
        variants=[variant],
        calibration=Calibration(temperature=1.0, error_before=0.0, error_after=0.0),
        metrics={"checkpoint": {"accuracy": 1.0}},
        encoder="tiny",
        data_fingerprint="0" * 64,
        measured_on=Host(processor="any", instruction_sets=[], cores=1),
        versions={},
        create_time="2026-01-01T00:00:00+00:00",
        export_fingerprint="0" * 64,
    )

"""A variant of a bundle with a tokenizer before it and results behind it, as one ONNX model."""

from __future__ import annotations

import json
from dataclasses import dataclass

import onnx
from onnx import TensorProto, compose, helper

from export.bundle import Bundle
from export.failures import ExportFailure
from export.manifest import Variant
from export.text_graph.batches import Batch, pair_batch, single_batch
from export.text_graph.nodes import CONTRIBUTED, LEARNED, LEARNED_VERSION, Nodes
from export.text_graph.results import add_results
from export.text_graph.tokenizer_parts import TokenizerParts
from export.text_graph.tokens import tokens_of

TEXT, TEXT_PAIR = "text", "text_pair"
FEEDS = ("input_ids", "attention_mask", "token_type_ids")
INNER = "variant/"
"""How the names of the variant's own nodes begin."""
LEAST_OPSET = 16


@dataclass(frozen=True, slots=True)
class Reading:
    """Nodes from texts to a batch."""

    nodes: Nodes
    inputs: list[str]
    """string [batch] each."""
    batch: Batch

    @classmethod
    def of(cls, parts: TokenizerParts, pair: bool, max_length: int, pad: int) -> Reading:
        """Of single texts, or of pairs."""
        nodes = Nodes("reading")
        if not pair:
            tokens = tokens_of(nodes, TEXT, parts)
            return cls(nodes, [TEXT], single_batch(nodes, tokens, parts.single, max_length, pad))
        both = nodes.add("Concat", TEXT, TEXT_PAIR, axis=0)
        tokens = tokens_of(nodes, both, parts)
        return cls(nodes, [TEXT, TEXT_PAIR], pair_batch(nodes, tokens, parts.pair, max_length, pad))

    def feeds(self) -> dict[str, str]:
        """Names in the graph, by the names of a variant's inputs."""
        return {name: getattr(self.batch, name) for name in FEEDS}

    def declared(self) -> list[onnx.ValueInfoProto]:
        """The inputs as a graph declares them."""
        return [helper.make_tensor_value_info(name, TensorProto.STRING, ["batch"]) for name in self.inputs]

    def model(self) -> onnx.ModelProto:
        """A model that ends with the batch: what a variant reads."""
        named = [
            helper.make_node("Identity", [name], [output], name=f"reading/{output}")
            for output, name in self.feeds().items()
        ]
        outputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in FEEDS]
        graph = helper.make_graph(
            [*self.nodes.nodes, *named], "reading", self.declared(), outputs, initializer=self.nodes.constants
        )
        return helper.make_model(graph, opset_imports=_opsets(17), ir_version=8)


def joined(bundle: Bundle, variant: Variant, reading: Reading | None) -> onnx.ModelProto:
    """The variant between a reading and its results; without a reading its inputs stay token ids.

    Raises ExportFailure for a variant of an opset that the nodes around it do not know.
    """
    manifest = bundle.manifest
    model = onnx.load(str(bundle.file(variant.file)))
    opset = next(each.version for each in model.opset_import if each.domain in {"", "ai.onnx"})
    if opset < LEAST_OPSET:
        raise ExportFailure(f"{variant.file.path} has opset {opset}, and {LEAST_OPSET} is needed; export the run again")
    model = compose.add_prefix(model, INNER)
    names = [each.name.removeprefix(INNER) for each in model.graph.input]
    ends = Nodes("results")
    results = add_results(ends, manifest, variant, {name: INNER + name for name in manifest.outputs})
    before = [] if reading is None else reading.nodes.nodes
    fed = {name: name for name in names} if reading is None else reading.feeds()
    links = [helper.make_node("Identity", [fed[name]], [INNER + name], name=f"feeds/{name}") for name in names]
    named = [
        helper.make_node("Identity", [made], [name], name=f"named/{name}") for name, (made, _, _) in results.items()
    ]
    inputs = (
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"]) for name in names]
        if reading is None
        else reading.declared()
    )
    outputs = [helper.make_tensor_value_info(name, kind, shape) for name, (_, kind, shape) in results.items()]
    constants = [*([] if reading is None else reading.nodes.constants), *ends.constants]
    nodes = [*before, *links, *model.graph.node, *ends.nodes, *named]
    del model.graph.node[:], model.graph.input[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.input.extend(inputs)
    model.graph.output.extend(outputs)
    model.graph.initializer.extend(constants)
    known = {each.domain for each in model.opset_import}
    model.opset_import.extend(each for each in _opsets(opset) if each.domain and each.domain not in known)
    helper.set_model_props(model, metadata(bundle, variant, reading is not None))
    return model


def metadata(bundle: Bundle, variant: Variant, reads_text: bool) -> dict[str, str]:
    """What the file says of itself, so that it can be used without its bundle; lists are JSON."""
    manifest = bundle.manifest
    about = {
        "name": manifest.name,
        "version": str(manifest.version),
        "task": manifest.task,
        "variant": variant.name,
        "encoder": manifest.encoder,
        "labels": json.dumps(manifest.labels, ensure_ascii=False),
        "max_length": str(manifest.max_length),
        "variant_sha256": variant.file.sha256,
        "tokenizer_sha256": manifest.tokenizer.sha256,
    }
    if manifest.thresholds is not None:
        about["thresholds"] = json.dumps(manifest.thresholds)
    if variant.out_of_scope_threshold is not None:
        about["out_of_scope_threshold"] = str(variant.out_of_scope_threshold)
    if not reads_text:
        about["pad_token_id"] = str(manifest.pad_token_id)
    return about


def _opsets(main: int) -> list[onnx.OperatorSetIdProto]:
    return [
        helper.make_opsetid("", main),
        helper.make_opsetid(CONTRIBUTED, 1),
        helper.make_opsetid(LEARNED, LEARNED_VERSION),
    ]

"""Heads, neurons and layers are taken away for real, those first that matter least."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    GPT2Config,
    GPT2Model,
    PreTrainedModel,
)

from export.failures import ExportFailure
from export.fusion import fuse
from export.graph import export_graph
from export.measurement import Runner
from export.rows import Row
from export.structure.blocks import blocks_of
from export.structure.catalogue import CATALOGUE, Structure, structures_of
from export.structure.importance import importance, kept_heads, kept_layers, kept_neurons, with_layers
from export.structure.material import Material, require_loss
from export.structure.pruning import pruned
from training.dataset import Entity, Example, Word
from training.heads import Classifier, HeadSettings, SequenceClassifier, TokenClassifier
from training.numbers import Scale

LABELS = ["a", "b", "c"]
HEADS, LAYERS, NEURONS = 4, 3, 48


def bert() -> PreTrainedModel:
    config = BertConfig(
        vocab_size=50,
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=NEURONS,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    return BertModel(config, add_pooling_layer=False)


def distilbert() -> PreTrainedModel:
    return DistilBertModel(
        DistilBertConfig(
            vocab_size=50,
            dim=32,
            n_layers=LAYERS,
            n_heads=HEADS,
            hidden_dim=NEURONS,
            max_position_embeddings=64,
            initializer_range=0.3,
        )
    )


@pytest.fixture(params=[bert, distilbert])
def model(request: pytest.FixtureRequest) -> Classifier:
    torch.manual_seed(0)
    torch.set_num_threads(1)
    return SequenceClassifier(request.param(), HeadSettings(labels=LABELS, pooling="mean")).eval()


def material_of(rows: int = 24, said_by: Classifier | None = None) -> Material:
    """Random tokens with labels in turn, or those that a model gives them."""
    random = np.random.default_rng(0)
    tokens = [random.integers(5, 50, random.integers(3, 12)).tolist() for _ in range(rows)]
    labels = [LABELS[position % 3] for position in range(rows)]
    if said_by is not None:
        with torch.inference_mode():
            answers = [said_by(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64)) for ids in tokens]
        labels = [LABELS[int(answer.argmax())] for answer in answers]
    examples = [Example("x", label) for label in labels]
    return Material.of("single_label_classification", LABELS, examples, [Row(ids, [0] * len(ids)) for ids in tokens], 0)


def logits(model: nn.Module) -> torch.Tensor:
    ids = torch.arange(5, 45).reshape(4, 10)
    mask = torch.ones_like(ids)
    mask[1:, 7:] = 0
    mask[0, 3] = 0
    with torch.inference_mode():
        answers: torch.Tensor = model(ids, mask, torch.zeros_like(ids))
    return answers


def silence_head(model: Classifier, layer: int, head: int) -> None:
    """What the head finds is read by nobody."""
    merge = blocks_of(model.encoder)[layer].merge
    width = merge.in_features // HEADS
    with torch.no_grad():
        merge.weight[:, head * width : (head + 1) * width] = 0


def silence_neurons(model: Classifier, layer: int, neurons: list[int]) -> None:
    with torch.no_grad():
        blocks_of(model.encoder)[layer].shrink.weight[:, neurons] = 0


def silence_layer(model: Classifier, layer: int) -> None:
    """It gives what it is given, which is normalised already."""
    block = blocks_of(model.encoder)[layer]
    with torch.no_grad():
        for dense in (block.merge, block.shrink):
            dense.weight.zero_()
            dense.bias.zero_()


def test_a_head_that_nobody_reads_is_worth_nothing_and_can_go_without_a_trace(model: Classifier) -> None:
    silence_head(model, 1, 2)
    before = logits(model)
    heads, _ = importance(model, material_of())
    assert heads[1][2] == 0
    assert min(value for layer in heads for value in layer[:2]) > 0
    kept = kept_heads(heads, 1 / (HEADS * LAYERS))
    assert kept == [[0, 1, 2, 3], [0, 1, 3], [0, 1, 2, 3]]
    for block, stay in zip(blocks_of(model.encoder), kept, strict=True):
        block.keep_heads(stay)
    assert [block.heads for block in blocks_of(model.encoder)] == [4, 3, 4]
    assert torch.allclose(logits(model), before, atol=1e-6)


def test_neurons_that_nobody_reads_are_worth_nothing_and_can_go_without_a_trace(model: Classifier) -> None:
    for layer in range(LAYERS):
        silence_neurons(model, layer, [3, 17, 20, 41])
    before = logits(model)
    _, neurons = importance(model, material_of())
    kept = kept_neurons(neurons, 4 / NEURONS)
    assert all(set(range(NEURONS)) - set(stay) == {3, 17, 20, 41} for stay in kept)
    for block, stay in zip(blocks_of(model.encoder), kept, strict=True):
        block.keep_neurons(stay)
    assert torch.allclose(logits(model), before, atol=1e-6)


def test_a_layer_that_changes_nothing_is_the_first_to_go(model: Classifier) -> None:
    silence_layer(model, 1)
    # sure of what it says, and right: whatever changes an answer costs much
    with torch.no_grad():
        model.classifier.weight *= 100
    kept = kept_layers(model, material_of(said_by=model), 1)
    assert kept == [1, 3]
    assert torch.allclose(logits(with_layers(model, kept)), logits(model), atol=1e-2)


def test_importance_is_what_the_loss_changes_when_a_part_is_turned_down_a_little(model: Classifier) -> None:
    material = material_of(6)
    heads, neurons = importance(model, material)
    step = 1e-3

    def losses() -> list[float]:
        found = []
        for batch, labels in material.batches():
            with torch.inference_mode():
                rows = nn.functional.cross_entropy(model(**batch), labels, reduction="none")
            found += rows.tolist()
        return found

    before = losses()
    block = blocks_of(model.encoder)[1]
    for dense, columns, stated in (
        (block.merge, slice(8, 16), heads[1][1]),
        (block.shrink, slice(7, 8), neurons[1][7]),
    ):
        original = dense.weight.detach().clone()
        with torch.no_grad():
            dense.weight[:, columns] *= 1 - step
        changes = np.abs(np.subtract(losses(), before)) / step
        with torch.no_grad():
            dense.weight.copy_(original)
        assert changes.mean() == pytest.approx(stated, rel=0.03, abs=2e-4)


def test_each_layer_keeps_a_head_and_shares_are_of_all_heads() -> None:
    scores = [np.array([1e-9, 1e-9, 2e-9, 1e-9]), np.array([5.0, 4.0, 3.0, 2.0]), np.array([1.0, 0.0, 0.0, 0.0])]
    assert [len(stay) for stay in kept_heads(scores, 0.99)] == [1, 1, 1]
    assert sum(len(stay) for stay in kept_heads(scores, 0.25)) == 9
    # a layer's own scale says nothing: the first one is not emptied because its numbers are small
    assert kept_heads(scores, 0.25)[0] == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["heads-50", "neurons-50", "slim-25", "layers-1", "layers-1-neurons-50"])
def test_what_is_pruned_is_smaller_exports_and_answers_like_itself(
    model: Classifier, name: str, tmp_path: Path
) -> None:
    before = logits(model)
    small = pruned(model, CATALOGUE[name], material_of())
    assert sum(each.numel() for each in small.parameters()) < sum(each.numel() for each in model.parameters())
    assert torch.equal(logits(model), before)
    raw = export_graph(small, tmp_path / "raw.onnx")
    whole = export_graph(model, tmp_path / "whole.onnx")
    assert raw.stat().st_size < whole.stat().st_size
    counted = fuse(raw, tmp_path / "fused.onnx", small.config)
    layers = LAYERS - CATALOGUE[name].layers
    if model.config.model_type == "bert":
        assert counted["Attention"] == layers
        nodes = [node for node in onnx.load(tmp_path / "fused.onnx").graph.node if node.op_type == "Attention"]
        heads = [next(a.i for a in node.attribute if a.name == "num_heads") for node in nodes]
        assert heads == [block.heads for block in blocks_of(small.encoder)]
    ids = np.arange(5, 45).reshape(4, 10)
    mask = np.ones_like(ids)
    mask[1:, 7:] = 0
    mask[0, 3] = 0
    batch = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
    for path in (raw, tmp_path / "fused.onnx"):
        assert np.abs(Runner(path, 0).run(batch) - logits(small).numpy()).max() < 1e-4


def test_words_have_a_loss_too() -> None:
    torch.manual_seed(0)
    tagger = TokenClassifier(bert(), HeadSettings(kind="token", labels=["O", "B-x", "I-x"], pooling=None)).eval()
    example = Example("ab cd", "", entities=(Entity(0, 2, "x"),), words=(Word(0, 2, 1), Word(3, 5, 2)))
    material = Material.of(
        "token_classification", ["O", "B-x", "I-x"], [example], [Row([2, 7, 8, 3], [0] * 4, [1, 2])], 0
    )
    heads, _ = importance(tagger, material)
    assert all((layer > 0).all() for layer in heads)


def test_numbers_and_several_labels_have_a_loss_too() -> None:
    torch.manual_seed(0)
    rows = [Row([2, 7, 8, 3], [0] * 4), Row([2, 9, 3], [0] * 3)]
    number = SequenceClassifier(bert(), HeadSettings(labels=[], pooling="mean")).eval()
    examples = [Example("x", "1", value=1.0), Example("y", "5", value=5.0)]
    material = Material.of("regression", [], examples, rows, 0, Scale(mean=3.0, deviation=2.0))
    said = []
    for batch, _ in material.batches():
        with torch.inference_mode():
            said += number(**batch)[:, 0].tolist()
    right = [float(each) for _, labels in material.batches() for each in labels]
    assert sorted(right) == [-1.0, 1.0]
    assert material.loss_of(number) == pytest.approx(np.mean(np.subtract(said, right) ** 2), rel=1e-4)
    topics = [Example("x", "a", labels=("a",)), Example("y", "", labels=())]
    several = Material.of("multi_label_classification", LABELS, topics, rows, 0)
    model = SequenceClassifier(bert(), HeadSettings(labels=LABELS, pooling="mean")).eval()
    assert all((layer > 0).all() for layer in importance(model, several)[0])


def test_what_cannot_be_made_smaller_is_refused_in_words(model: Classifier) -> None:
    with pytest.raises(ExportFailure, match=r"unknown structure heads-26.*heads-25"):
        structures_of(["heads-25", "heads-26"])
    assert [each.name for each in structures_of(["layers-1", "heads-25", "layers-1"])] == ["layers-1", "heads-25"]
    with pytest.raises(ExportFailure, match=r"of the encoder's 3 layers 3 cannot go"):
        pruned(model, Structure("layers-3", layers=3), material_of())
    with pytest.raises(ExportFailure, match=r"pair_scoring.*--candidate-run"):
        require_loss("pair_scoring")
    decoder = GPT2Model(GPT2Config(vocab_size=50, n_positions=16, n_embd=8, n_layer=1, n_head=2))
    with pytest.raises(ExportFailure, match="gpt2 encoders"):
        blocks_of(decoder)


def test_names_say_what_is_taken_away() -> None:
    for name, structure in CATALOGUE.items():
        assert structure.name == name
        assert 0 <= structure.heads < 1 and 0 <= structure.neurons < 1
        assert structure.describe()

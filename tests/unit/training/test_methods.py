"""Which weights a run trains, how fast, and that nothing of a method is left afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.fakes.tiny_encoder import write_tiny_decoder, write_tiny_encoder
from training.data_settings import DataSettings
from training.failures import InvalidSettings
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.methods import apply_method, merge, trainable
from training.optimization import layer_of, parameter_groups
from training.settings import FineTuneSettings, Method

IDS = torch.tensor([[2, 7, 9, 3]])
MASK = torch.ones_like(IDS)


def made(folder: Path, decoder: bool = False) -> SequenceClassifier:
    location = write_tiny_decoder(folder) if decoder else write_tiny_encoder(folder)
    return SequenceClassifier(load_encoder(str(location)), HeadSettings(labels=["a", "b"], pooling="mean"))


def settings(method: Method = "full", **more: object) -> FineTuneSettings:
    return FineTuneSettings(data=DataSettings(path="x"), name="x", method=method, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "trained"),
    [
        ("full", lambda name: True),
        ("frozen", lambda name: name.startswith("classifier.")),
        ("bitfit", lambda name: name.startswith("classifier.") or name.endswith("bias")),
        ("lora", lambda name: name.startswith("classifier.") or "lora_" in name),
        ("adalora", lambda name: name.startswith("classifier.") or "lora_" in name),
        ("prefix", lambda name: name.startswith(("classifier.", "encoder.prefix.layers."))),
        ("adapters", lambda name: name.startswith("classifier.") or ".adapter." in name),
    ],
)
def test_a_method_trains_its_weights_and_the_head(tmp_path: Path, method: Method, trained: object) -> None:
    model = made(tmp_path)
    apply_method(model, settings(method))
    assert callable(trained)
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad is trained(name), name
    grouped = [weight for group in parameter_groups(model, settings(method), 1e-3) for weight in group["params"]]
    assert sum(weight.numel() for weight in grouped) == trainable(model)
    assert len({id(weight) for weight in grouped}) == len(grouped)


@pytest.mark.parametrize("decoder", [False, True])
def test_low_rank_updates_are_merged_without_a_trace(tmp_path: Path, decoder: bool) -> None:
    model = made(tmp_path / "encoder", decoder)
    names = set(model.state_dict())
    apply_method(model, settings("lora"))
    assert trainable(model) < 0.5 * sum(parameter.numel() for parameter in model.parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.1)
    model.eval()
    with torch.inference_mode():
        expected = model(IDS, MASK)
    merge(model, settings("lora"))
    assert set(model.state_dict()) == names
    model.save(tmp_path / "saved")
    with torch.inference_mode():
        assert torch.allclose(model(IDS, MASK), expected, atol=1e-5)
        assert torch.allclose(SequenceClassifier.load(tmp_path / "saved")(IDS, MASK), expected, atol=1e-5)


def test_what_does_not_fit_together_or_the_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gradient_checkpointing takes a prefix away"):
        settings("prefix", gradient_checkpointing=True)
    with pytest.raises(InvalidSettings, match="adapter_reduction_factor: 64 leaves nothing of the encoder's width 32"):
        apply_method(made(tmp_path), settings("adapters", adapter_reduction_factor=64))


def test_lower_layers_learn_slower_and_the_head_fastest(tmp_path: Path) -> None:
    groups = parameter_groups(made(tmp_path), settings(layer_rate_decay=0.5), 1e-3)
    rates = sorted({group["lr"] for group in groups})
    assert rates == pytest.approx([0.25e-3, 0.5e-3, 1e-3, 10e-3])


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("embeddings.word_embeddings.weight", 0),
        ("encoder.layer.0.attention.self.query.weight", 1),
        ("base_model.model.encoder.layer.11.output.dense.lora_A.default.weight", 12),
        ("h.3.attn.c_attn.weight", 4),
        ("model.layers.7.mlp.up_proj.weight", 8),
    ],
)
def test_the_layer_of_a_weight_is_read_from_its_name(name: str, layer: int) -> None:
    assert layer_of(name) == layer


def test_biases_and_normalisation_do_not_decay(tmp_path: Path) -> None:
    model = made(tmp_path)
    undecayed = {
        id(p) for g in parameter_groups(model, settings(), 1e-3) if g["weight_decay"] == 0.0 for p in g["params"]
    }
    named = dict(model.named_parameters())
    assert {id(p) for name, p in named.items() if name.endswith("bias") or "LayerNorm" in name} <= undecayed
    assert id(named["encoder.encoder.layer.0.attention.self.query.weight"]) not in undecayed

"""Encoders made of some layers of another one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AlbertConfig,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    RobertaConfig,
)

from tests.fakes.tiny_encoder import write_tiny_decoder, write_tiny_encoder
from training.distillation.layers import (
    LayerOutputs,
    chosen_layers,
    hidden_distance,
    layers_of,
    require_stack,
    shortened,
)
from training.failures import InvalidSettings
from training.heads import load_encoder

IDS = torch.tensor([[2, 7, 9, 3], [2, 8, 3, 0]])
MASK = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
SMALL = {"vocab_size": 60, "hidden_size": 16, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.mark.parametrize(
    ("wanted", "layers", "expected"),
    [
        (3, 6, [2, 4, 6]),
        (6, 12, [2, 4, 6, 8, 10, 12]),
        (2, 6, [3, 6]),
        (4, 6, [2, 3, 5, 6]),
        (1, 6, [6]),
        (2, 2, [1, 2]),
    ],
)
def test_layers_are_evenly_spaced_and_the_last_one_is_among_them(wanted: int, layers: int, expected: list[int]) -> None:
    assert chosen_layers(wanted, layers) == expected


def test_any_number_of_layers_can_be_chosen_and_none_twice() -> None:
    for layers in range(1, 25):
        for wanted in range(1, layers + 1):
            chosen = chosen_layers(wanted, layers)
            assert len(set(chosen)) == wanted
            assert chosen == sorted(chosen)
            assert 1 <= chosen[0] <= chosen[-1] == layers


def hidden(encoder: PreTrainedModel) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = encoder.eval()(input_ids=IDS, attention_mask=MASK).last_hidden_state
    return found


def test_a_shortened_encoder_is_the_other_one_without_the_layers_left_out() -> None:
    torch.manual_seed(0)
    teacher = BertModel(BertConfig(num_hidden_layers=5, **SMALL), add_pooling_layer=False)
    student = shortened(teacher, [2, 5])
    assert layers_of(student.config) == 2
    assert layers_of(teacher.config) == len(teacher.encoder.layer) == 5
    teacher.encoder.layer = torch.nn.ModuleList([teacher.encoder.layer[1], teacher.encoder.layer[4]])
    assert torch.equal(hidden(student), hidden(teacher))


@pytest.mark.parametrize("kind", ["bert", "gpt2", "distilbert"])
def test_it_is_a_plain_encoder_that_saves_and_loads(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    if kind == "distilbert":
        DistilBertModel(DistilBertConfig(vocab_size=60, dim=16, n_layers=2, n_heads=2, hidden_dim=32)).save_pretrained(
            tmp_path
        )
    else:
        (write_tiny_decoder if kind == "gpt2" else write_tiny_encoder)(tmp_path)
    teacher = load_encoder(str(tmp_path))
    assert torch.equal(hidden(shortened(teacher, [1, 2])), hidden(teacher))
    student = shortened(teacher, [2])
    student.save_pretrained(tmp_path / "student")
    assert torch.equal(hidden(load_encoder(str(tmp_path / "student"))), hidden(student))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(
    "config",
    [
        AlbertConfig(num_hidden_layers=4, embedding_size=8, **SMALL),
        ModernBertConfig(num_hidden_layers=4, pad_token_id=0, **SMALL),
        ModernBertConfig(num_hidden_layers=4, pad_token_id=0, global_attn_every_n_layers=1, **SMALL),
    ],
)
def test_an_encoder_whose_layers_are_one_or_not_alike_cannot_be_shortened(config: PretrainedConfig) -> None:
    with pytest.raises(InvalidSettings, match=f"layers of {config.model_type} encoders cannot take the places"):
        require_stack(config)


@pytest.mark.parametrize(
    "config",
    [
        BertConfig(num_hidden_layers=3, **SMALL),
        RobertaConfig(num_hidden_layers=3, **SMALL),
        DistilBertConfig(vocab_size=60, dim=16, n_layers=3, n_heads=2, hidden_dim=32),
        MPNetConfig(num_hidden_layers=3, **SMALL),
        ElectraConfig(num_hidden_layers=3, embedding_size=16, **SMALL),
        GPT2Config(vocab_size=60, n_embd=16, n_layer=3, n_head=2),
        Qwen2Config(num_hidden_layers=3, num_key_value_heads=2, **SMALL),
    ],
)
def test_other_encoders_can(config: PretrainedConfig) -> None:
    require_stack(config)


@pytest.mark.parametrize("decoder", [False, True])
def test_outputs_of_layers_are_those_that_the_encoder_reports(decoder: bool, tmp_path: Path) -> None:
    encoder = load_encoder(str((write_tiny_decoder if decoder else write_tiny_encoder)(tmp_path))).eval()
    outputs = LayerOutputs(encoder, [1, 2])
    reported = encoder(input_ids=IDS, attention_mask=MASK, output_hidden_states=True).hidden_states
    first, _ = outputs.latest()
    assert torch.equal(first, reported[1])
    outputs.release()
    encoder(input_ids=IDS, attention_mask=MASK)
    with pytest.raises(KeyError):
        outputs.latest()


def test_hidden_states_are_compared_by_direction_on_real_tokens_only() -> None:
    one = torch.tensor([[[1.0, 0.0], [0.0, 2.0], [9.0, 9.0]]])
    other = torch.tensor([[[5.0, 0.0], [3.0, 0.0], [-9.0, 1.0]]])
    mask = torch.tensor([[1, 1, 0]])
    # the first token points the same way, the second is at right angles, the third is padding
    assert hidden_distance([one], [other], mask).item() == pytest.approx(0.5)
    assert hidden_distance([one, one], [other, one], mask).item() == pytest.approx(0.25)
    assert hidden_distance([one], [-one], mask).item() == pytest.approx(2.0)

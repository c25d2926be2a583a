"""Adapters and prefixes: where they sit, that they are kept, and which encoders cannot have them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import (
    AlbertConfig,
    AutoModel,
    BertConfig,
    DistilBertConfig,
    ElectraConfig,
    GPT2Config,
    ModernBertConfig,
    MPNetConfig,
    PretrainedConfig,
    PreTrainedModel,
    RobertaConfig,
)

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.additions import Adapters, Addition, PrefixKeys, add, added_weights
from training.encoders import find_encoder
from training.failures import InvalidSettings
from training.heads import HeadSettings, SequenceClassifier, load_encoder
from training.prefix import positions

BERT_LIKE = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 40,
    "pad_token_id": 1,
}
BERT = BertConfig(**BERT_LIKE)
ROBERTA = RobertaConfig(**BERT_LIKE)
ELECTRA = ElectraConfig(**BERT_LIKE, embedding_size=16)
MPNET = MPNetConfig(**BERT_LIKE)
MODERN_BERT = ModernBertConfig(
    **BERT_LIKE, reference_compile=False, global_attn_every_n_layers=1, attn_implementation="sdpa"
)
DISTILBERT = DistilBertConfig(vocab_size=60, dim=32, n_layers=2, n_heads=2, hidden_dim=64, max_position_embeddings=40)
GPT2 = GPT2Config(vocab_size=60, n_embd=32, n_layer=2, n_head=2, n_positions=40, use_cache=False)
ADDITIONS = [Adapters(inner=4), PrefixKeys(length=5)]


def kind(config: PretrainedConfig) -> str:
    return str(config.model_type)


def encoder_of(config: PretrainedConfig) -> PreTrainedModel:
    torch.manual_seed(0)
    return AutoModel.from_config(config).eval()


def stirred(encoder: PreTrainedModel) -> None:
    """The added weights are other than new ones."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in added_weights(encoder).values():
            weight.normal_(std=0.3)


def said(encoder: PreTrainedModel, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return encoder(input_ids=ids, attention_mask=mask).last_hidden_state


@pytest.mark.parametrize("config", [BERT, ROBERTA, ELECTRA, MPNET, MODERN_BERT, DISTILBERT, GPT2], ids=kind)
@pytest.mark.filterwarnings("ignore:.*torch.jit.script_method:DeprecationWarning")
def test_two_adapters_a_layer_begin_by_changing_nothing(config: PretrainedConfig) -> None:
    encoder = encoder_of(config)
    ids = torch.randint(2, 60, (2, 7))
    before = said(encoder, ids, torch.ones_like(ids))
    add(encoder, Adapters(inner=4))
    assert torch.equal(said(encoder, ids, torch.ones_like(ids)), before)
    # each: down and up between 32 and 4 values, with biases
    assert sum(weight.numel() for weight in added_weights(encoder).values()) == 2 * 2 * (2 * 32 * 4 + 32 + 4)
    stirred(encoder)
    assert (said(encoder, ids, torch.ones_like(ids)) - before).abs().max() > 0.01


@pytest.mark.parametrize("config", [BERT, ROBERTA, ELECTRA, GPT2], ids=kind)
def test_a_prefix_is_attended_to_and_takes_no_position(config: PretrainedConfig) -> None:
    encoder = encoder_of(config)
    limit = config.max_position_embeddings - (2 if config.model_type == "roberta" else 0)
    ids = torch.randint(2, 60, (2, limit))
    mask = torch.ones_like(ids)
    before = said(encoder, ids, mask)
    add(encoder, PrefixKeys(length=5))
    after = said(encoder, ids, mask)
    assert after.shape == before.shape
    assert (after - before).abs().max() > 1e-3
    assert sum(weight.numel() for weight in added_weights(encoder).values()) == 2 * 2 * 5 * 32


@pytest.mark.parametrize("config", [BERT, ROBERTA], ids=kind)
def test_tokens_keep_their_positions(config: PretrainedConfig) -> None:
    encoder = encoder_of(config)
    ids = torch.tensor([[5, 9, 12, 7, 1, 1], [8, 6, 5, 9, 12, 3]])
    mask = ids.ne(1).to(torch.int64)
    with torch.inference_mode():
        given = encoder(input_ids=ids, attention_mask=mask, position_ids=positions(config, ids)).last_hidden_state
    assert torch.equal(given[mask > 0], said(encoder, ids, mask)[mask > 0])


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.kind)
def test_padding_and_holes_do_not_change_what_is_said(addition: Addition) -> None:
    encoder = encoder_of(BERT)
    add(encoder, addition)
    stirred(encoder)
    ids = torch.randint(2, 60, (1, 6))
    alone = said(encoder, ids, torch.ones_like(ids))
    wide = torch.cat([ids, torch.ones((1, 9), dtype=torch.int64)], dim=1)
    mask = (torch.arange(15) < 6).to(torch.int64).unsqueeze(0)
    assert torch.allclose(said(encoder, wide, mask)[:, :6], alone, atol=1e-5)
    one = torch.tensor([[5]])
    assert torch.isfinite(said(encoder, one, torch.ones_like(one))).all()


@pytest.mark.parametrize("addition", ADDITIONS, ids=lambda addition: addition.kind)
def test_a_checkpoint_keeps_the_addition_apart_and_answers_as_before(addition: Addition, tmp_path: Path) -> None:
    location = write_tiny_encoder(tmp_path / "encoder")
    model = SequenceClassifier(load_encoder(str(location)), HeadSettings(labels=["a", "b"], pooling="mean")).eval()
    add(model.encoder, addition)
    stirred(model.encoder)
    model.save(tmp_path / "saved")
    own, base = (load_file(tmp_path / name / "model.safetensors") for name in ("saved", "encoder"))
    assert set(own) == {name for name in base if not name.startswith("pooler.")}
    assert all(torch.equal(base[name], weight) for name, weight in own.items())
    ids = torch.randint(2, 40, (3, 11))
    with torch.inference_mode():
        expected, actual = (
            each(ids, torch.ones_like(ids)) for each in (model, SequenceClassifier.load(tmp_path / "saved"))
        )
    assert torch.equal(expected, actual)


def test_weights_that_are_not_those_of_the_addition_are_refused(tmp_path: Path) -> None:
    location = write_tiny_encoder(tmp_path / "encoder")
    model = SequenceClassifier(load_encoder(str(location)), HeadSettings(labels=["a", "b"], pooling="mean"))
    add(model.encoder, Adapters(inner=4))
    model.save(tmp_path / "saved")
    (tmp_path / "saved" / "addition.json").write_text('{"kind": "prefix", "length": 4}', encoding="utf-8")
    with pytest.raises(ValueError, match="does not hold the weights"):
        SequenceClassifier.load(tmp_path / "saved")


def test_a_new_run_does_not_start_from_half_a_checkpoint(tmp_path: Path) -> None:
    location = write_tiny_encoder(tmp_path / "encoder")
    model = SequenceClassifier(load_encoder(str(location)), HeadSettings(labels=["a", "b"], pooling="mean"))
    add(model.encoder, PrefixKeys(length=2))
    model.save(tmp_path / "saved")
    with pytest.raises(InvalidSettings, match=r"addition\.json"):
        find_encoder(str(tmp_path / "saved"))


@pytest.mark.parametrize(
    ("config", "addition", "why"),
    [
        (DISTILBERT, PrefixKeys(length=4), "'distilbert' cannot be given a prefix"),
        (MPNET, PrefixKeys(length=4), "'mpnet' cannot be given a prefix"),
        (BERT, PrefixKeys(length=40), "prefix_length: 40 is more than a text of this encoder can have"),
        (
            AlbertConfig(vocab_size=60, embedding_size=16, hidden_size=32, num_attention_heads=2, intermediate_size=64),
            Adapters(inner=4),
            "not known where adapters belong in encoders of type 'albert'",
        ),
    ],
)
def test_encoders_that_cannot_have_it_are_refused(config: PretrainedConfig, addition: Addition, why: str) -> None:
    with pytest.raises(InvalidSettings, match=why):
        add(encoder_of(config), addition)

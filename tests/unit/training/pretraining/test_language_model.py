from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    BertForMaskedLM,
    DistilBertConfig,
    DistilBertForMaskedLM,
    ElectraConfig,
    ElectraForMaskedLM,
    PreTrainedModel,
    RobertaConfig,
    RobertaForMaskedLM,
)

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.failures import InvalidSettings
from training.masked_positions import MaskedOnly
from training.optimization import UNDECAYED
from training.pretraining.batches import Masking, collate
from training.pretraining.budget import Budget
from training.pretraining.language_model import checkpoint_model
from training.pretraining.pieces import Pieces, SpecialTokens
from training.pretraining.settings import PretrainingSettings
from training.pretraining.trainer import MaskedTrainer, pretraining_arguments

SHAPE = {"vocab_size": 60, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
MODELS: list[Callable[[], PreTrainedModel]] = [
    lambda: RobertaForMaskedLM(RobertaConfig(**SHAPE, pad_token_id=0)),
    lambda: ElectraForMaskedLM(ElectraConfig(**SHAPE, embedding_size=16)),
    lambda: DistilBertForMaskedLM(DistilBertConfig(vocab_size=60, dim=16, n_layers=1, n_heads=2, hidden_dim=16)),
]
SPECIAL = SpecialTokens(first=2, last=3, pad=0, mask=4, ordinary=np.arange(5, 60, dtype=np.int32))


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    return checkpoint_model(str(write_tiny_encoder(tmp_path_factory.mktemp("bert")))).eval()


def pieces(*lengths: int) -> Pieces:
    begins = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Pieces(np.arange(5, 5 + sum(lengths), dtype=np.int32), np.ones(sum(lengths), np.bool_), begins)


def test_an_encoder_without_a_head_gets_one(bert: PreTrainedModel) -> None:
    assert isinstance(bert, BertForMaskedLM)


def test_a_model_that_is_not_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="could not be loaded for masked words"):
        checkpoint_model(str(tmp_path))


@pytest.mark.parametrize("make", MODELS)
def test_the_head_computes_the_masked_positions_as_it_would_all(make: Callable[[], PreTrainedModel]) -> None:
    torch.manual_seed(0)
    model = make().eval()
    inputs = collate([0, 1], pieces(9, 5), Masking(0.4, SPECIAL, 0), 0)
    full = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits[inputs["masked"]]
    torch.testing.assert_close(MaskedOnly(model).logits(model, inputs), full)
    again = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]).logits
    assert again.shape == (2, 11, 60)


def test_the_rate_warms_up_and_ends_at_zero() -> None:
    budget = Budget(warmup=0.1, steps=100)
    rates = [budget(step) for step in range(101)]
    assert rates[0] == 0
    assert rates[10] == max(rates) == 1
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0


def test_by_the_clock_the_rate_is_that_of_the_time_spent_whatever_the_updates() -> None:
    budget = Budget(warmup=0.1, seconds=1e6)
    budget.spent_s = 0.55e6
    assert budget(3) == pytest.approx(0.5, abs=1e-3)
    budget.spent_s = 2e6
    assert (budget(4), budget.done(4)) == (0, 1)


def test_time_between_a_checkpoint_and_its_resume_is_not_spent() -> None:
    weights = [torch.nn.Parameter(torch.zeros(1))]

    def scheduler(budget: Budget) -> torch.optim.lr_scheduler.LambdaLR:
        return torch.optim.lr_scheduler.LambdaLR(torch.optim.SGD(weights, lr=1.0), budget)

    killed = Budget(warmup=0.1, seconds=1e6)
    state = scheduler(killed)
    killed.spent_s, killed._since = 5e5, killed._since - 1e6  # saved by a process that ended long ago
    saved = state.state_dict()
    resumed = Budget(warmup=0.1, seconds=7.0)
    scheduler(resumed).load_state_dict(saved)
    resumed.resume()
    assert resumed.done(1) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("make", MODELS)
def test_biases_and_normalisation_are_left_out_of_weight_decay(
    make: Callable[[], PreTrainedModel], tmp_path: Path
) -> None:
    model = make()
    settings = PretrainingSettings(paths=("unused.txt",), name="x")
    trainer = MaskedTrainer(
        model=model,
        args=pretraining_arguments(settings, tmp_path, 1, 1e-3, "no"),
        only=MaskedOnly(model),
        budget=Budget(0.1, steps=1),
    )
    decay = {
        parameter: group["weight_decay"]
        for group in trainer.create_optimizer().param_groups
        for parameter in group["params"]
    }
    assert decay.keys() == set(model.parameters())
    for name, parameter in model.named_parameters():
        assert (decay[parameter] == 0.0) == bool(UNDECAYED.search(name)), name
    assert trainer.optimizer.defaults["betas"] == (0.9, 0.98)
    assert trainer.optimizer.defaults["eps"] == 1e-6

"""Losses of sentence encoders, against the definitions in their papers."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional

from tests.fakes.tiny_encoder import write_tiny_encoder
from training.data_settings import DataSettings
from training.embedding.losses import loss_of
from training.embedding.relations import Relation
from training.heads import load_encoder
from training.sentence_encoder import SentenceEncoder
from training.settings import FineTuneSettings


class Given(nn.Module):
    """An encoder whose vectors are its input."""

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        return vectors


def loss(relation: Relation, columns: list[torch.Tensor], labels: torch.Tensor, scale: float = 5.0) -> torch.Tensor:
    settings = FineTuneSettings(
        data=DataSettings(path="x", relation="auto"), task="embedding", name="x", similarity_scale=scale
    )
    made = loss_of(relation, settings)
    made.model.encoder = Given()
    value = made([{"vectors": column} for column in columns], labels)
    assert isinstance(value, torch.Tensor)
    return value


def test_a_pair_is_told_from_the_other_second_texts_and_all_negatives() -> None:
    torch.manual_seed(0)
    first, second, negatives = torch.randn(4, 8), torch.randn(4, 8), torch.randn(3, 8)
    candidates = torch.cat([second, negatives])
    cosines = functional.cosine_similarity(first[:, None], candidates[None], dim=2)
    expected = functional.cross_entropy(5.0 * cosines, torch.arange(4))
    assert loss("pair", [first, second, negatives], torch.zeros(4)).item() == pytest.approx(expected.item(), abs=1e-5)


def test_cosines_in_the_order_of_the_numbers_cost_less() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    second = torch.tensor([[1.0, 0.1], [0.1, 1.0]])
    right, wrong = (loss("score", [first, second], torch.tensor(numbers)) for numbers in ([0.9, 0.1], [0.1, 0.9]))
    assert right.item() < 0.05 < 1.0 < wrong.item()


def test_the_supervised_loss_is_that_of_the_paper() -> None:
    torch.manual_seed(1)
    vectors, labels = torch.randn(6, 8), torch.tensor([0, 0, 1, 1, 1, 2])
    unit = functional.normalize(vectors)
    total = []
    for i in range(5):  # the last one has none of its label, and does not count
        others = [j for j in range(6) if j != i]
        below = torch.logsumexp(torch.stack([5.0 * unit[i] @ unit[j] for j in others]), dim=0)
        positives = [j for j in others if labels[j] == labels[i]]
        total.append(-sum(5.0 * unit[i] @ unit[j] - below for j in positives) / len(positives))
    expected = torch.stack([torch.as_tensor(each) for each in total]).mean()
    assert loss("label", [vectors], labels).item() == pytest.approx(expected.item(), abs=1e-5)


def test_a_batch_computed_in_parts_has_the_same_gradient(tmp_path: Path) -> None:
    encoder = SentenceEncoder(load_encoder(str(write_tiny_encoder(tmp_path))), "mean").eval()
    random = torch.Generator().manual_seed(0)
    columns = [{"input_ids": torch.randint(5, 40, (6, 7), generator=random)} for _ in range(2)]
    for column in columns:
        column["attention_mask"] = torch.ones_like(column["input_ids"])
    gradients = []
    for cached in (None, 2):
        settings = FineTuneSettings(
            data=DataSettings(path="x", relation="auto"), task="embedding", name="x", cached_batch=cached
        )
        made = loss_of("pair", settings)
        made.model.encoder = encoder
        encoder.zero_grad()
        made(columns, torch.zeros(6)).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in encoder.parameters() if p.grad is not None]))
    assert gradients[0].abs().max() > 1e-3
    assert torch.allclose(*gradients, atol=1e-6)

"""What the file of predictions says of texts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.dataset import Dataset, Entity, Example, Split, Word
from training.tagging.annotation import annotated
from training.tagging.decoding import bio_labels
from training.tasks.entities import Entities

TYPES = [f"TYPE {number}" for number in range(8)]
TEXT = "北 b 中 d 国 f 文 h"


def example() -> Example:
    """Eight words, each an entity of a type of its own."""
    entities = [Entity(2 * n, 2 * n + 1, kind) for n, kind in enumerate(TYPES)]
    words = tuple(Word(each.start, each.end, token) for token, each in enumerate(entities))
    return replace(annotated(Example(TEXT, ""), entities), words=words)


def test_mistakes_of_one_probability_stand_in_the_order_of_the_text(tmp_path: Path) -> None:
    labels = bio_labels(TYPES)
    dataset = Dataset([], [example()], [example()], labels, "")
    nothing = np.zeros((len(TYPES), len(labels)), np.float32)
    nothing[:, 0] = 4.0
    Entities().measured({Split.VALIDATION: nothing, Split.TEST: nothing}, dataset).written(tmp_path)
    (line,) = (tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    mistakes = json.loads(line)["mistakes"]
    assert len({each["probability"] for each in mistakes}) == 1
    assert [each["right"]["text"] for each in mistakes] == TEXT.split()

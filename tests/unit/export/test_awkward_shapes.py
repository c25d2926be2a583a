"""Batches that expose wrong masks and wrong positions."""

from __future__ import annotations

import numpy as np

from export.awkward_shapes import awkward_shapes, left_padded, lengths
from export.rows import Row, feed

ROWS = [Row([7 + number] * (3 + number), [0] * (3 + number)) for number in range(20)]
NAMES = {"input_ids", "attention_mask", "token_type_ids"}


def test_lengths_go_up_to_the_longest_served_and_to_512_where_there_are_positions() -> None:
    assert lengths(64, 512) == [1, 2, 8, 64, 128, 256, 512]
    assert lengths(100, 128) == [1, 2, 8, 64, 100, 128]
    assert lengths(32, 0) == [1, 2, 8, 32]
    assert lengths(2048, 8192) == [1, 2, 8, 64, 128, 256, 512, 2048]


def test_every_shape_has_what_its_name_says() -> None:
    shapes = awkward_shapes(ROWS, 32, 0, 100, 64)
    assert list(shapes) == [
        "mixed lengths",
        "left padding",
        "mask with holes",
        *(f"length {n}" for n in (1, 2, 8, 32, 64)),
    ]
    mixed = shapes["mixed lengths"]["attention_mask"].sum(axis=1)
    assert (mixed.min(), mixed.max(), len(set(mixed.tolist()))) == (3, 22, 16)
    left = shapes["left padding"]["attention_mask"]
    assert (left[:, -1] == 1).all()
    assert (np.diff(left, axis=1) >= 0).all()
    assert left[:, 0].tolist() == [0, 0, 1]
    holes = shapes["mask with holes"]["attention_mask"]
    assert (holes[:, :2] == 1).all()
    assert (holes[:, 2] == 0).all()
    assert shapes["length 8"]["attention_mask"].tolist() == [[1] * 8] * 2


def test_left_padding_keeps_the_tokens_and_their_order() -> None:
    batch = left_padded(feed([Row([5, 6, 7], [0, 0, 1]), Row([8], [0])], NAMES, 0))
    assert batch["input_ids"].tolist() == [[5, 6, 7], [0, 0, 8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]

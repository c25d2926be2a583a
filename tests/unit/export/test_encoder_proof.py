from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from export.encoder_proof import judge, nearest
from export.encoder_texts import read_texts
from export.proof import ParityProof
from export.settings import EncoderGate
from training.embedding.retrieval import units
from training.failures import UnreadableData


def proof(**changes: float) -> ParityProof:
    fields: dict[str, float] = {
        "max_logit_difference": 0.0,
        "agreement": 1.0,
        "mean_cosine": 1.0,
        "flips_with_batch_mates": 0.0,
    }
    return ParityProof.model_validate(
        {
            "rows": 9,
            "mean_logit_difference": 0.0,
            "shapes_checked": [],
            "passed": True,
            "reasons": [],
            **fields,
            **changes,
        }
    )


def test_a_faithful_variant_passes() -> None:
    assert judge(proof(), "fp32", EncoderGate()) == []
    assert judge(proof(max_logit_difference=0.3, mean_cosine=0.995, agreement=0.95), "int8", EncoderGate()) == []


@pytest.mark.parametrize(
    ("changes", "precision", "reason"),
    [
        ({"max_logit_difference": 2e-4}, "fp32", "an element differs by 0.0002"),
        ({"max_logit_difference": float("nan")}, "int8", "not finite"),
        ({"mean_cosine": 0.98}, "int8", "the mean cosine 0.9800 is below 0.9900"),
        ({"mean_cosine": float("nan")}, "int8", "the mean cosine"),
        ({"agreement": 0.8}, "int8", "80.0 % keep their nearest neighbour"),
        ({"flips_with_batch_mates": 0.1}, "int8", "flip with batch mates"),
    ],
)
def test_what_is_lost_is_named(changes: dict[str, float], precision: str, reason: str) -> None:
    assert any(reason in each for each in judge(proof(**changes), precision, EncoderGate()))


def test_the_nearest_is_another_one_whatever_the_lengths() -> None:
    vectors = np.array([[1, 0], [10, 1], [0, 5], [0.1, 1]], np.float32)
    assert nearest(vectors).tolist() == [1, 0, 3, 2]
    assert np.allclose(np.linalg.norm(units(vectors), axis=1), 1.0)
    assert units(np.zeros((1, 2), np.float32)).tolist() == [[0.0, 0.0]]


def test_texts_are_found_by_the_columns_name_each_once(tmp_path: Path) -> None:
    file = tmp_path / "texts.csv"
    file.write_text("label,文本\n" + "".join(f"a,第{n % 20}行\n" for n in range(40)) + "a, \n", encoding="utf-8")
    assert read_texts(str(file), None) == [f"第{n}行" for n in range(20)]
    assert len(read_texts(str(file), "文本")) == 20


@pytest.mark.parametrize(
    ("content", "column", "part"),
    [
        ("text\nonly one\n", None, "prove nothing"),
        ("a,b\n1,2\n", None, "Name it with --text"),
        ("text\nx\n", "nope", "has no column 'nope'"),
    ],
)
def test_texts_that_prove_nothing_are_refused(tmp_path: Path, content: str, column: str | None, part: str) -> None:
    file = tmp_path / "texts.csv"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableData, match=part):
        read_texts(str(file), column)


def test_a_manifest_of_before_is_read_as_it_was() -> None:
    old = {"reference_accuracy": 0.9, "accuracy": 0.8}
    assert proof(**old).drop == pytest.approx(10.0)
    assert proof().drop == 0.0

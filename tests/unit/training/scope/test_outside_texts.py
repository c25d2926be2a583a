"""Texts out of scope: how they are read, split and trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.encoding import EncodedDataset, EncodedExample
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.preparation import silent
from training.reuse import step_fingerprint
from training.scope.exposure import OUTSIDE, ExposureLoss, exposed
from training.scope.settings import ScopeSettings
from training.scope.texts import OutsideTexts, outside_texts
from training.settings import FineTuneSettings
from training.settings_reading import load_settings

INSIDE = Dataset(
    [Example("转账到我的银行卡", "bank")],
    [Example("Send MONEY", "bank")],
    [Example("lost card", "card")],
    ["bank", "card"],
    "",
)
ENGLISH = [f"how tall is mountain number {n} of country {n * 7919}" for n in range(20)]
CHINESE = [f"第{n}首唐诗的作者是谁，他写了{n * 7919}首诗吗" for n in range(20)]


def read(path: Path, pair: bool = False, **data: str) -> OutsideTexts:
    found = outside_texts(ScopeSettings(path=str(path)), DataSettings(path="rows.csv", **data), INSIDE, pair, silent)
    assert found is not None
    return found


def write(path: Path, lines: list[str], encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)
    return path


def texts(found: OutsideTexts) -> set[str]:
    return {example.text for split in Split for example in found.of(split)}


@pytest.mark.parametrize("rows", [ENGLISH, CHINESE])
def test_plain_lines_csv_and_jsonl_read_alike(rows: list[str], tmp_path: Path) -> None:
    plain = write(tmp_path / "o.txt", [*rows, "", rows[0]])
    labelled = write(tmp_path / "o.csv", ["text,label", *(f'"{row}",oos' for row in rows)])
    bare = write(tmp_path / "p.csv", ["text", *(f'"{row}"' for row in rows)])
    lines = write(tmp_path / "o.jsonl", [json.dumps({"text": row}, ensure_ascii=False) for row in rows])
    first = read(plain)
    for path in (labelled, bare, lines):
        assert texts(read(path)) == texts(first) == set(rows)
        assert [len(read(path).of(split)) for split in Split] == [10, 5, 5]


def test_chinese_lines_in_gb_18030_are_read(tmp_path: Path) -> None:
    assert texts(read(write(tmp_path / "o.txt", CHINESE, "gb18030"))) == set(CHINESE)


def test_the_split_depends_on_the_texts_not_on_their_order(tmp_path: Path) -> None:
    one = read(write(tmp_path / "a.txt", ENGLISH))
    other = read(write(tmp_path / "b.txt", ENGLISH[::-1]))
    for split in Split:
        assert {each.text for each in one.of(split)} == {each.text for each in other.of(split)}


def test_a_split_column_is_kept(tmp_path: Path) -> None:
    rows = [f'"{text}",{("train", "dev", "test")[n % 3]}' for n, text in enumerate(ENGLISH)]
    found = read(write(tmp_path / "o.csv", ["text,split", *rows]))
    assert {each.text for each in found.validation} == set(ENGLISH[1::3])


def test_texts_that_are_labelled_rows_as_well_are_left_out_and_counted(tmp_path: Path) -> None:
    found = read(write(tmp_path / "o.txt", [*ENGLISH, "send money", "转账到我的银行卡"]))
    assert found.among_rows == 2
    assert texts(found) == set(ENGLISH)


@pytest.mark.parametrize(
    ("name", "lines", "part"),
    [
        ("o.txt", ENGLISH[:7], "7 distinct texts are out of scope, too few"),
        (
            "o.csv",
            ["text,split", *(f"{text},train" for text in ENGLISH[:10]), f"{ENGLISH[10]},later"],
            "'later' is no split",
        ),
        ("o.csv", ["text,split", *(f"{text},dev" for text in ENGLISH)], "no text is left for the test split"),
        ("o.pdf", ENGLISH, "the suffix must be one of .txt, .csv"),
        ("o.txt", [" ", ""], "holds no text"),
    ],
)
def test_what_cannot_be_used_is_named(name: str, lines: list[str], part: str, tmp_path: Path) -> None:
    with pytest.raises((UnreadableData, UnusableData), match=part):
        read(write(tmp_path / name, lines))


def test_texts_for_learning_are_asked_for_before_training_only_where_something_learns_from_them(tmp_path: Path) -> None:
    rows = [f"{text},{('dev', 'test')[n % 2]}" for n, text in enumerate(ENGLISH)]
    path = write(tmp_path / "o.csv", ["text,split", *rows])
    assert [len(read(path).of(split)) for split in Split] == [0, 10, 10]
    for more in ({"exposure": True}, {"detector": "combined_with_outliers"}):
        scope = ScopeSettings(path=str(path), **more)
        with pytest.raises(UnusableData, match="no text is left for the train split"):
            outside_texts(scope, DataSettings(path="rows.csv"), INSIDE, False, silent)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="does not exist"):
        read(tmp_path / "o.txt")


def test_pairs_need_pairs(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match="the data has pairs of texts, this file has none"):
        read(write(tmp_path / "o.txt", ENGLISH), pair=True)
    paired = write(tmp_path / "o.csv", ["text,text_pair", *(f"{text},{text[::-1]}" for text in ENGLISH)])
    assert all(each.text_pair for each in read(paired, pair=True).train)


def made_of(file: Path | None, path: Path | str, scope: Mapping[str, Any], **more: object) -> FineTuneSettings:
    return load_settings(file, {"name": "any", **more}, {"path": str(path)}, {"out_of_scope": scope})


@pytest.mark.parametrize(
    ("scope", "more", "part"),
    [
        ({"exposure": True}, {}, "exposure trains on texts out of scope"),
        ({"detector": "combined_with_outliers"}, {}, "give them with path"),
        ({"acceptance": 1.0}, {}, "acceptance"),
        ({"detector": "psychic"}, {}, "detector"),
        ({"path": "o.txt"}, {"task": "multi_label_classification"}, "for one label a text"),
        (
            {"path": "o.txt", "exposure": True},
            {"distillation": {"teachers": ["runs/a"]}},
            "distillation has its own loss",
        ),
    ],
)
def test_settings_that_make_no_sense_are_refused(scope: dict[str, object], more: dict[str, object], part: str) -> None:
    with pytest.raises(InvalidSettings, match=part):
        made_of(None, "rows.csv", scope, **more)


def test_flags_complete_what_a_file_says(tmp_path: Path) -> None:
    file = write(tmp_path / "c.yaml", ["out_of_scope: {path: o.txt, acceptance: 0.9}"])
    made = made_of(file, "rows.csv", {"acceptance": 0.95})
    assert made.out_of_scope == ScopeSettings(path="o.txt", acceptance=0.95)
    assert made_of(None, "rows.csv", {}).out_of_scope is None


def test_other_texts_out_of_scope_are_another_run(tmp_path: Path) -> None:
    rows = write(tmp_path / "rows.csv", ["text,label", "a,b"])
    path = write(tmp_path / "o.txt", ENGLISH)
    made = made_of(None, rows, {"path": str(path)})
    before = step_fingerprint(made)
    write(path, CHINESE)
    assert step_fingerprint(made) != before


def test_exposure_wants_all_labels_equally_probable_and_leaves_the_others_their_loss() -> None:
    loss = ExposureLoss(nn.CrossEntropyLoss(), 2.0)
    inside, outside = torch.tensor([[3.0, 0.0]]), torch.tensor([[0.0, 4.0]])
    labels = torch.tensor([0])
    alone = loss(inside, labels)
    assert alone.item() == pytest.approx(nn.CrossEntropyLoss()(inside, labels).item())
    both = loss(torch.cat([inside, outside]), torch.tensor([0, OUTSIDE]))
    uniform = -outside.log_softmax(dim=1).mean()
    assert both.item() == pytest.approx((alone.item() + 2.0 * uniform.item()) / 2)
    flat = loss(torch.zeros(1, 2), torch.tensor([OUTSIDE]))
    assert flat.item() < loss(outside, torch.tensor([OUTSIDE])).item()


def test_texts_out_of_scope_are_repeated_to_their_share_and_weigh_what_is_asked() -> None:
    def encoded(count: int, target: int) -> EncodedDataset:
        return EncodedDataset([EncodedExample([1, 2], [0, 0], target) for _ in range(count)])

    chosen = ScopeSettings(path="o.txt", exposure=True, exposure_share=0.2, exposure_weight=0.5)
    rows, loss = exposed(nn.CrossEntropyLoss(), encoded(100, 0), encoded(5, OUTSIDE), chosen)
    assert len(rows) == 120
    assert loss.weight * 20 == pytest.approx(0.5 * 100)

"""How many copies there are, what each is, and which are refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from pydantic import ValidationError

from training.augmentation.copies import AT_ONCE, Copies, keep_copies, kept_copies, make_copies
from training.augmentation.kinds import Change, changes
from training.augmentation.quotas import copies_of_rows
from training.augmentation.settings import AugmentationSettings, Kind
from training.dataset import Dataset, Example
from training.encoders import EncoderSource
from training.failures import InvalidSettings
from training.preparation import silent
from training.settings_reading import load_settings
from training.typos import Random

NOWHERE = EncoderSource("nowhere", "nowhere", "cls")
TRAIN = [
    Example("my card was stolen in the city this morning", "card", extra={"channel": "app"}),
    Example("the transfer to my brother has not arrived yet", "transfer"),
    Example("我的银行卡昨天在火车站被偷了", "card"),
    Example("how long will a transfer to another country take", "transfer"),
]
HELD_OUT = [Example("please send me a new card for my account", "card")]


def data_of(train: Sequence[Example] = TRAIN, held_out: Sequence[Example] = HELD_OUT) -> Dataset:
    return Dataset(list(train), list(held_out), list(held_out), ["card", "transfer"], "f" * 64)


def made_in(
    folder: Path,
    dataset: Dataset,
    settings: AugmentationSettings,
    made_by: Mapping[Kind, Change] | None = None,
    seed: int = 0,
) -> Copies:
    return make_copies(dataset, settings, made_by or changes(settings, NOWHERE), 0.7, seed, silent, folder)


def copies_of(dataset: Dataset, *arguments: Any, **options: Any) -> Copies:
    with TemporaryDirectory() as folder:
        return made_in(Path(folder), dataset, *arguments, **options)


def made(dataset: Dataset, made_by: dict[Kind, Change] | None = None, seed: int = 13, **how: Any) -> list[Example]:
    settings = AugmentationSettings(**{"kinds": "typo,swap,delete", **how})
    return copies_of(dataset, settings, made_by, seed=seed).rows(dataset.train)


class Always:
    """Makes the same text of every text."""

    def __init__(self, text: str) -> None:
        self.text = text

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        return [self.text] * len(texts)


class Mortal:
    """Ends the process after so many calls; before, it draws for all texts and changes every second one."""

    def __init__(self, change: Change, calls: int) -> None:
        self.change = change
        self.calls = calls

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        if not texts:
            return []
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        found = self.change.changed(texts, randoms, probability)
        return [old if number % 2 else new for number, (old, new) in enumerate(zip(texts, found, strict=True))]


class Never:
    """Changes nothing."""

    def changed(self, texts: Sequence[str], randoms: Sequence[Random], probability: float) -> list[str]:
        return list(texts)


def test_copies_keep_the_labels_and_columns_of_their_rows_and_change_the_text() -> None:
    copies = made(data_of(), copies=3)
    assert len(copies) == 12
    assert Counter(copy.label for copy in copies) == {"card": 6, "transfer": 6}
    assert not {copy.text for copy in copies} & {example.text for example in TRAIN}
    assert len({copy.text for copy in copies}) == 12
    assert copies[0].extra["channel"] == "app"
    assert {copy.extra["augmentation"] for copy in copies} == {"typo", "swap", "delete"}


def test_the_same_seed_makes_the_same_copies_and_another_row_changes_none_of_them() -> None:
    assert made(data_of()) == made(data_of())
    assert made(data_of()) != made(data_of(), seed=14)
    more = [*TRAIN, Example("I want to close my account and leave", "card")]
    assert made(data_of(more))[: len(TRAIN)] == made(data_of())


def test_both_texts_of_a_pair_change() -> None:
    pair = Example(TRAIN[0].text, "card", text_pair=TRAIN[1].text)
    (copy,) = made(data_of([pair]))
    assert copy.text != pair.text
    assert copy.text_pair not in {None, pair.text_pair}


def test_several_labels_a_text_are_kept() -> None:
    row = replace(TRAIN[0], labels=("card", "transfer"), label="card | transfer")
    (copy,) = made(data_of([row]))
    assert copy.labels == ("card", "transfer")


def test_small_classes_are_filled_up_to_the_largest_and_no_further_than_the_limit() -> None:
    classes = ["a"] * 7 + ["b"] * 3 + ["c"]
    balanced = AugmentationSettings(kinds=("typo",), target="balanced")
    assert copies_of_rows(classes, balanced) == [0] * 7 + [2, 1, 1] + [6]
    limited = AugmentationSettings(kinds=("typo",), target="balanced", copies=2)
    assert copies_of_rows(classes, limited) == [0] * 7 + [2, 1, 1] + [2]
    assert copies_of_rows(classes, AugmentationSettings(kinds=("typo",), copies=2)) == [2] * 11


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (HELD_OUT[0].text, "like validation or test rows"),
        (HELD_OUT[0].text.upper() + "!", "like validation or test rows"),
        (TRAIN[1].text, "repeated"),
    ],
)
def test_a_copy_that_is_or_looks_like_another_row_is_left_out(text: str, reason: str) -> None:
    dataset = data_of(TRAIN[:2])
    settings = AugmentationSettings(kinds=("typo",))
    found = copies_of(dataset, settings, {"typo": Always(text)})
    assert not found.copies
    assert found.left_out[reason] >= 1
    assert sum(found.left_out.values()) == 2


def test_where_one_kind_can_do_nothing_the_next_one_is_tried() -> None:
    settings = AugmentationSettings(kinds=("synonym", "swap"), copies=2)
    kinds: dict[Kind, Change] = {
        "synonym": Never(),
        "swap": changes(settings.model_copy(update={"kinds": ("swap",)}), NOWHERE)["swap"],
    }
    found = copies_of(data_of(), settings, kinds)
    assert {copy.kind for copy in found.copies} == {"swap"}
    assert len(found.copies) == 8
    none = copies_of(data_of(), settings, {"synonym": Never(), "swap": Never()})
    assert none.left_out == {"unchanged": 8, "repeated": 0, "like validation or test rows": 0}


def test_an_attempt_that_is_cut_off_keeps_what_was_made_and_the_next_makes_the_rest(tmp_path: Path) -> None:
    words = ["card", "银行卡", "transfer", "account", "city"]
    rows = [Example(f"the {words[n % 5]} {n} of row {n * 7919} was lost on day {n * n}", "card") for n in range(700)]
    dataset, settings = data_of(rows), AugmentationSettings(kinds=("swap", "delete"))
    plain = changes(settings, NOWHERE)

    def dying_after(calls: int) -> dict[Kind, Mortal]:
        return {kind: Mortal(change, calls) for kind, change in plain.items()}

    def left(mortals: dict[Kind, Mortal]) -> int:
        return sum(each.calls for each in mortals.values())

    whole, cut_off, rest = dying_after(99), dying_after(1), dying_after(99)
    expected = copies_of(dataset, settings, whole)
    # of both kinds, and more of each than are made at once
    assert min(Counter(copy.kind for copy in expected.copies).values()) > AT_ONCE / 2
    assert left(whole) <= 2 * 99 - 6
    with pytest.raises(KeyboardInterrupt):
        made_in(tmp_path, dataset, settings, cut_off)
    assert made_in(tmp_path, dataset, settings, rest) == expected
    assert left(rest) == left(whole) + 1
    assert made_in(tmp_path, dataset, settings, dying_after(0)) == expected


def test_kept_copies_are_read_back_unless_they_are_of_other_data_or_damaged(tmp_path: Path) -> None:
    settings = AugmentationSettings(kinds=("typo",))
    found = copies_of(data_of(), settings)
    path = tmp_path / "copies.json"
    assert kept_copies(path, data_of()) is None
    keep_copies(path, found)
    assert kept_copies(path, data_of()) == found
    assert kept_copies(path, replace(data_of(), fingerprint="0" * 64)) is None
    path.write_text("{cut off", encoding="utf-8")
    assert kept_copies(path, data_of()) is None


def test_the_record_counts_kinds_and_labels() -> None:
    settings = AugmentationSettings(kinds=("typo", "swap"), copies=2)
    record = copies_of(data_of(), settings).record(TRAIN)
    assert record.copies == 8
    assert record.kinds == {"swap": 4, "typo": 4}
    assert record.labels == {"card": 4, "transfer": 4}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kinds": ""}, "kinds"),
        ({"kinds": "typo,typo"}, "named twice"),
        ({"kinds": "typo,paraphrase"}, "kinds.1"),
        ({"kinds": "back_translation"}, "needs translation_models"),
        ({"kinds": "typo", "translation_models": ("a", "b")}, "need back_translation"),
        ({"kinds": "back_translation", "translation_models": ("a",)}, "translation_models"),
        ({"kinds": "typo", "synonym_model": "bert-base-uncased"}, "for the kind synonym"),
        ({"kinds": "typo", "copies": 17}, "copies"),
    ],
)
def test_settings_that_make_no_sense_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        AugmentationSettings(**given)


@pytest.mark.parametrize("task", ["regression", "pair_scoring", "embedding"])
def test_tasks_without_labels_refuse_copies_and_the_contrastive_stage(task: str) -> None:
    flags, data = {"name": "x", "task": task}, {"path": "rows.csv"}
    with pytest.raises(InvalidSettings, match=f"labels of whole texts, which {task} does not have"):
        load_settings(None, flags, data, {"augmentation": {"kinds": "typo"}})
    with pytest.raises(InvalidSettings, match=f"contrastive_epochs: {task}"):
        load_settings(None, {**flags, "contrastive_epochs": 2}, data)


def test_the_contrastive_stage_is_refused_where_it_makes_no_sense() -> None:
    def refused(message: str, groups: dict[str, Any] | None = None, **flags: Any) -> None:
        with pytest.raises(InvalidSettings, match=message):
            load_settings(None, {"name": "x", "contrastive_epochs": 2, **flags}, {"path": "rows.csv"}, groups or {})

    refused("which method lora leaves as it is", method="lora")
    refused("batch_size of 4 or more", batch_size=2)
    refused("leave out one of the two", {"distillation": {"teachers": ["runs/a"]}})


def test_settings_of_copies_without_a_kind_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="give --augment typo,swap,delete,synonym"):
        load_settings(None, {"name": "x"}, {"path": "rows.csv"}, {"augmentation": {"copies": 2}})

from __future__ import annotations

from training.dataset import Example, Split
from training.duplicates import DuplicateReport, Groups, drop_exact, drop_near, label_variants, leaks, tied
from training.look_alikes import jaccard
from training.preparation import silent


def test_equal_texts_of_one_label_leave_the_first() -> None:
    report = DuplicateReport()
    rows = [Example("Hello World", "a", row=2), Example("hello  world", "a", row=3), Example("other", "a", row=4)]
    assert [row.row for row in drop_exact(rows, "majority", report)] == [2, 4]
    assert report.exact == [(3, 2)]


def test_a_conflict_keeps_the_majority_or_nothing() -> None:
    rows = [
        Example("t", "a", row=1),
        Example("t", "a", row=2),
        Example("t", "b", row=3),
        Example("u", "a"),
        Example("u", "b"),
    ]
    report = DuplicateReport()
    assert [(row.text, row.label) for row in drop_exact(rows, "majority", report)] == [("t", "a")]
    assert [(c.labels, c.kept) for c in report.conflicts] == [({"a": 2, "b": 1}, "a"), ({"a": 1, "b": 1}, None)]
    assert drop_exact(rows, "drop", DuplicateReport()) == []
    assert len(drop_exact(rows, "keep", DuplicateReport())) == 4


def test_near_duplicates_are_found_in_english_and_chinese() -> None:
    english = "The central bank left its key rate unchanged on Thursday but hinted at a cut before summer"
    chinese = "央行周四维持基准利率不变，但暗示夏季之前可能会下调，市场对此反应平淡，股市小幅收高，债券收益率略有回落"
    rows = [
        Example(english, "a", row=1),
        Example(english + ".", "a", row=2),
        Example(chinese, "a", row=3),
        Example(chinese + "。", "a", row=4),
        Example("Something else entirely", "a", row=5),
    ]
    report = DuplicateReport()
    kept, groups = drop_near(rows, 0.9, 0.7, report, silent)
    assert [row.row for row in kept] == [1, 3, 5]
    assert report.near == [(2, 1), (4, 3)]
    assert len(set(groups)) == 3


def test_look_alikes_with_different_labels_stay_and_share_a_group() -> None:
    text = "I would like to cancel the order that I placed on your site yesterday evening"
    report = DuplicateReport()
    kept, groups = drop_near([Example(text, "a"), Example(text + "!", "b")], 0.9, 0.7, report, silent)
    assert len(kept) == 2
    assert groups[0] == groups[1]
    assert report.similar_with_other_label == 1


def test_near_duplicates_in_different_splits_of_the_user_stay() -> None:
    text = "A sentence that is long enough to be compared with another one of its kind"
    rows = [Example(text, "a", split=Split.TRAIN), Example(text + ".", "a", split=Split.TEST)]
    assert len(drop_near(rows, 0.9, 0.7, DuplicateReport(), silent)[0]) == 2


def test_leaks_name_the_rows_of_both_splits() -> None:
    rows = [Example("same", "a", split=Split.TRAIN, row=2), Example("SAME", "a", split=Split.TEST, row=9)]
    assert leaks(rows) == {("train", "test"): [(2, 9)]}


def test_a_text_leaks_once_between_any_two_splits_however_often_it_stands_there() -> None:
    order = [Split.TEST, Split.TRAIN, None, Split.TEST, Split.VALIDATION, Split.TRAIN]
    rows = [Example("一样 same", "a", split=split, row=row) for row, split in enumerate(order, start=2)]
    assert leaks(rows) == {
        ("train", "validation"): [(3, 6)],
        ("train", "test"): [(3, 2)],
        ("validation", "test"): [(6, 2)],
    }


def test_label_spellings_are_noticed() -> None:
    rows = [Example("t", label) for label in ("Card Arrival", "card_arrival", "other")]
    assert label_variants(rows) == [["Card Arrival", "card_arrival"]]


def test_groups_join_transitively() -> None:
    groups = Groups()
    for _ in range(4):
        groups.add()
    groups.join(0, 1)
    groups.join(2, 1)
    assert [groups.find(i) for i in range(4)] == [0, 0, 0, 3]


def test_texts_that_look_alike_share_a_group_through_others() -> None:
    text = "how do i move money from my savings to another bank at the weekend"
    texts = [text, "银行周末可以转账吗", f"{text} please", "something else", f"{text} please, by post"]
    assert tied(texts, 0.8, silent) == [0, 1, 0, 3, 0]
    assert tied(texts, 0.95, silent) == [0, 1, 2, 3, 4]


def test_jaccard_of_halves() -> None:
    assert jaccard(frozenset({1, 2}), frozenset({2, 3})) == 1 / 3
    assert jaccard(frozenset(), frozenset()) == 0.0

"""Queries and candidates: reading, splitting, batches of whole queries, ranking losses and metrics."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.data_loader import skip_first_batches
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, ndcg_score
from torch.utils.data import DataLoader

from tests.fakes.tiny_questions import write_questions
from training.calibration import fit_relevance, sigmoid
from training.data_page import render
from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.duplicates import query_identity
from training.failures import InvalidSettings, UnreadableData, UnusableData
from training.preparation import prepare
from training.query_batches import QueryBatches
from training.ranking_losses import ListwiseSoftmaxLoss, PointwiseLoss, RankNetLoss
from training.reading import read
from training.settings_reading import load_settings
from training.tasks import task_of
from training.tasks.ranking_evaluation import query_scores

PAIRS = task_of("pair_scoring")
RANKING = [RankNetLoss(), ListwiseSoftmaxLoss()]


def settings(path: Path, **more: object) -> DataSettings:
    return DataSettings(path=str(path), label_kind="relevance", **more)  # type: ignore[arg-type]


def parts(dataset: Dataset) -> tuple[list[Example], list[Example], list[Example]]:
    return dataset.train, dataset.validation, dataset.test


def targets(rows: list[tuple[float, int]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float32)


@pytest.mark.parametrize(
    "header", ["query,passage,relevance", "Question,Answer,Score", "label,query,document", "问题,候选,相关性"]
)
def test_columns_are_found_under_their_usual_names(tmp_path: Path, header: str) -> None:
    path = tmp_path / "rows.csv"
    row = "1,哪家银行,the bank" if header.startswith("label") else "哪家银行,the bank,1"
    path.write_text(f"{header}\n{row}\n", encoding="utf-8")
    (example,) = read(settings(path)).examples
    assert (example.text, example.text_pair, example.value) == ("哪家银行", "the bank", 1.0)


def test_other_columns_are_named_and_a_missing_one_says_how(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("asked,offered,clicks\na,b,3\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match=r"like the query among 'asked', .*--text"):
        read(settings(path))
    named = settings(path, text="asked", text_pair="offered", label="clicks")
    assert read(named).examples[0].value == 3.0


@pytest.mark.parametrize("cell", ["-1", "yes", "nan"])
def test_a_relevance_below_zero_or_no_number_is_refused_with_its_place(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"query,passage,relevance\na,b,1\na,c,{cell}\n", encoding="utf-8")
    with pytest.raises(UnreadableData, match="line 3, column 'relevance'"):
        read(settings(path))


def test_the_candidates_of_a_query_never_straddle_splits(tmp_path: Path) -> None:
    dataset = prepare(settings(write_questions(tmp_path / "rows.csv"))).dataset
    seen: dict[str, set[Split | None]] = defaultdict(set)
    for part in parts(dataset):
        for example in part:
            seen[query_identity(example)].add(example.split)
    assert len(seen) == 120
    assert all(len(each) == 1 for each in seen.values())
    assert [len(part) for part in parts(dataset)] == [480, 60, 60]


def test_queries_that_look_alike_stay_together(tmp_path: Path) -> None:
    path = write_questions(tmp_path / "rows.csv")
    alike = "how do I get a new card for the account that I opened last year in the old town"
    more = [f"{alike} {mark},answer {n} {mark},{n % 2}" for mark in "?!.;:" for n in range(4)]
    path.write_text(path.read_text(encoding="utf-8") + "\n".join(more) + "\n", encoding="utf-8")
    dataset = prepare(settings(path)).dataset
    found = [example for part in parts(dataset) for example in part if example.text.startswith("how do I")]
    assert len(found) == 20  # candidates of a long query are alike, too, and none is dropped for it
    assert len({example.split for example in found}) == 1


def test_relevance_is_a_share_of_the_highest_grade(tmp_path: Path) -> None:
    prepared = prepare(settings(write_questions(tmp_path / "rows.csv", graded=True)))
    assert {example.target for example in prepared.dataset.train} == {0.0, 0.5, 1.0}
    assert sum(prepared.report.queries.values()) == 120
    assert "queries" in render(prepared.report)


def test_data_without_an_order_to_learn_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    rows = [f"query {n * 7919 % 1009} {n * 104_729 % 991},answer {n},{n % 2}" for n in range(60)]
    path.write_text("query,passage,relevance\n" + "\n".join(rows) + "\n", encoding="utf-8")
    with pytest.raises(UnusableData, match="no query of the train split has candidates of different relevance"):
        prepare(settings(path))


def test_settings_that_cannot_be_are_refused() -> None:
    made = load_settings(None, {"name": "x", "task": "pair_scoring", "loss": "ranknet"}, {"path": "x.csv"})
    assert made.data.label_kind == "relevance"
    for flags, what in (({"loss": "mse"}, "ranknet"), ({"loss": "ranknet", "batch_size": 1}, "2 or more")):
        with pytest.raises(InvalidSettings, match=what):
            load_settings(None, {"name": "x", "task": "pair_scoring", **flags}, {"path": "x.csv"})


sizes = st.lists(st.integers(1, 30), min_size=1, max_size=40)


@given(sizes, st.integers(2, 12), st.integers(0, 3))
def test_batches_hold_each_row_once_and_whole_queries_and_are_as_many_in_every_epoch(
    counts: list[int], size: int, epoch: int
) -> None:
    queries = [query for query, count in enumerate(counts) for _ in range(count)]
    batches = QueryBatches(queries, [0.0] * len(queries), size, seed=1)
    batches.set_epoch(epoch)
    made = list(batches)
    assert len(made) == len(batches)
    assert sorted(row for batch in made for row in batch) == list(range(len(queries)))
    assert max(map(len, made)) <= size
    places: dict[int, set[int]] = defaultdict(set)
    for position, batch in enumerate(made):
        for row in batch:
            places[queries[row]].add(position)
    assert all(len(places[query]) == 1 for query, count in enumerate(counts) if count <= size)
    assert list(batches) == made


def test_epochs_differ_in_which_queries_meet() -> None:
    queries = [query for query in range(40) for _ in range(4)]
    batches = QueryBatches(queries, [0.0] * 160, 16, seed=1)
    first = list(batches)
    batches.set_epoch(1)
    second = list(batches)
    assert all(len(batch) == 16 for batch in [*first, *second])
    assert {frozenset(batch) for batch in first} != {frozenset(batch) for batch in second}


def test_a_long_query_is_dealt_out_with_its_relevant_candidates_spread() -> None:
    relevance = [1.0, 1.0, *[0.0] * 14]
    made = list(QueryBatches([0] * 16, relevance, 8, seed=1))
    assert [sum(relevance[row] for row in batch) for batch in made] == [1.0, 1.0]


def test_a_resumed_epoch_goes_on_with_the_batches_that_were_not_seen() -> None:
    queries = [query for query in range(20) for _ in range(query % 4 + 1)]
    batches = QueryBatches(queries, [0.0] * len(queries), 6, seed=1)

    def loader() -> DataLoader[int]:
        return Accelerator(cpu=True).prepare(DataLoader(range(len(queries)), batch_sampler=batches))  # type: ignore[arg-type, no-any-return]

    whole, again = loader(), loader()
    for each in (whole, again):
        each.set_epoch(3)  # type: ignore[attr-defined]
    seen = [batch.tolist() for batch in whole]
    assert [batch.tolist() for batch in skip_first_batches(again, 4)] == seen[4:]


@pytest.mark.parametrize("loss", RANKING)
def test_a_ranking_loss_falls_as_the_order_gets_right_and_knows_no_offset(loss: torch.nn.Module) -> None:
    rows = targets([(1, 0), (0, 0), (0, 0), (0.5, 1), (1, 1)])
    right = torch.tensor([[3.0], [-1], [0], [0], [2]])
    assert loss(right, rows) < loss(torch.zeros(5, 1), rows) < loss(-right, rows)
    moved = right + torch.tensor([[7.0], [7], [7], [-4], [-4]])
    assert loss(moved, rows) == pytest.approx(float(loss(right, rows)), abs=1e-5)


@pytest.mark.parametrize("loss", RANKING)
def test_each_query_counts_alike_and_one_without_an_order_not_at_all(loss: torch.nn.Module) -> None:
    one, other = [(1, 0), (0, 0)], [(1, 1), (0, 1), (0, 1), (0, 1)]
    scores, more = torch.tensor([[0.3], [0.1]]), torch.tensor([[-0.2], [0.4], [0.0], [0.5]])
    mean = (float(loss(scores, targets(one))) + float(loss(more, targets(other)))) / 2
    assert float(loss(torch.cat([scores, more]), targets(one + other))) == pytest.approx(mean, abs=1e-6)
    with_others = targets([*one, (1, 5), (1, 5), (0, 6), (0, 7), (0, 7)])
    extended = torch.cat([scores, torch.randn(5, 1)])
    assert float(loss(extended, with_others)) == pytest.approx(float(loss(scores, targets(one))), abs=1e-6)
    alone = torch.zeros(2, 1, requires_grad=True)
    loss(alone, targets([(1, 0), (0, 1)])).backward()
    assert alone.grad is not None
    assert alone.grad.tolist() == [[0.0], [0.0]]


def test_the_losses_are_those_of_their_papers() -> None:
    rows, scores = targets([(1, 0), (0, 0), (0, 0)]), torch.tensor([[0.5], [0.2], [-0.1]])
    pairs = [np.log1p(np.exp(-(0.5 - other))) for other in (0.2, -0.1)]
    assert float(RankNetLoss()(scores, rows)) == pytest.approx(np.mean(pairs), abs=1e-6)
    share = np.exp(0.5) / np.exp([0.5, 0.2, -0.1]).sum()
    assert float(ListwiseSoftmaxLoss()(scores, rows)) == pytest.approx(-np.log(share), abs=1e-6)
    graded = targets([(0.5, 0)])
    soft = -(0.5 * np.log(1 / (1 + np.exp(-0.7))) + 0.5 * np.log(1 - 1 / (1 + np.exp(-0.7))))
    assert float(PointwiseLoss()(torch.tensor([[0.7]]), graded)) == pytest.approx(soft, abs=1e-6)


candidates = st.lists(
    st.tuples(st.integers(0, 1000), st.integers(0, 3)), min_size=2, max_size=25, unique_by=lambda c: c[0]
)


@given(st.lists(candidates, min_size=1, max_size=6))
def test_metrics_are_those_of_the_library(queries: list[list[tuple[int, int]]]) -> None:
    scores = np.array([score for query in queries for score, _ in query], np.float32)
    truth = np.array([(grade, n) for n, query in enumerate(queries) for _, grade in query], np.float32)
    counted = [query for query in queries if len({grade for _, grade in query}) > 1]
    found = query_scores(scores, truth)
    assert found.shape == (len(counted), 3)
    for (ndcg, reciprocal, average), query in zip(found, counted, strict=True):
        grades, own = np.array([grade for _, grade in query]), np.array([score for score, _ in query])
        assert ndcg == pytest.approx(ndcg_score([grades], [own], k=10))
        assert average == pytest.approx(average_precision_score(grades > 0, own))
        ordered = sorted(query, key=lambda each: -each[0])
        first = next(place for place, (_, grade) in enumerate(ordered, start=1) if grade > 0)
        assert reciprocal == pytest.approx(1 / first)


def test_equal_scores_win_nothing() -> None:
    truth = np.array([[1, 0], [0, 0], [0, 0], [0, 0]], np.float32)
    ((_, reciprocal, average),) = query_scores(np.zeros(4, np.float32), truth)
    assert reciprocal == average == 0.25


def test_platt_scaling_finds_the_scale_and_the_offset_that_made_the_rows() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(5, 4, 20_000).astype(np.float32)
    truth = (random.random(20_000) < sigmoid((logits - 6) / 2)).astype(np.float32)
    temperature, shift = fit_relevance(logits, truth)
    assert temperature == pytest.approx(2.0, rel=0.1)
    assert shift == pytest.approx(-6.0, rel=0.05)


def test_the_judgement_counts_queries_and_leaves_its_files(tmp_path: Path) -> None:
    examples = [
        Example(
            f"query {n // 4}", f"{n % 4 == 0:d}", f"candidate {n}", value=float(n % 4 == 0), target=float(n % 4 == 0)
        )
        for n in range(80)
    ]
    dataset = Dataset([], examples, examples, [], "")
    logits = np.array([[5.0 if n % 4 == 0 else 3.0] for n in range(80)], np.float32)
    measured = PAIRS.measured({Split.VALIDATION: logits, Split.TEST: logits}, dataset)
    assert not list(tmp_path.iterdir())
    judgement = measured.written(tmp_path)
    assert judgement.metrics["test"]["ndcg_at_10"] == judgement.metrics["test"]["mrr"] == 1.0
    assert judgement.metrics["test"]["calibration_error"] < 0.05 < judgement.metrics["test"]["calibration_error_before"]
    assert judgement.shift == pytest.approx(-4.0, abs=0.2)
    assert set(judgement.intervals) == {"ndcg_at_10", "mrr", "map"}
    metrics = json.loads((tmp_path / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["queries"] == {"validation": 20, "test": 20}
    first = json.loads((tmp_path / "predictions.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert (first["query"], first["candidate"], first["relevance"]) == ("query 0", "candidate 0", 1.0)
    assert (tmp_path / "calibration.png").stat().st_size > 500

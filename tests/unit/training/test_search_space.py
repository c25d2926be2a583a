"""A search space says what varies, holds the defaults, and names the field that is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from training.failures import InvalidSettings
from training.search.space import SearchSpace, default_space, load_space
from training.settings import FineTuneSettings
from training.settings_reading import load_settings

POOLINGS = ("mean", "cls", "last")


@pytest.fixture
def settings() -> FineTuneSettings:
    flags = {"name": "toy", "epochs": 6, "learning_rate": 3e-4, "pooling": "mean"}
    return load_settings(None, flags, {"path": "rows.csv"})


def refusal(text: str, settings: FineTuneSettings, folder: Path) -> str:
    file = folder / "space.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidSettings) as caught:
        load_space(file, settings)
    return str(caught.value)


def test_the_default_space_holds_the_settings_it_starts_from(settings: FineTuneSettings) -> None:
    start = default_space(settings, POOLINGS).starting_point(settings)
    assert start == {name: getattr(settings, name) for name in start}
    assert set(start) >= {"learning_rate", "epochs", "batch_size", "head_rate_factor", "dropout", "label_smoothing"}
    assert set(start) >= {"warmup_ratio", "weight_decay", "pooling"}


@pytest.mark.parametrize(
    ("name", "value"), [("dropout", 0.45), ("dropout", 0.12), ("weight_decay", 0.0), ("batch_size", 5), ("epochs", 1)]
)
def test_settings_of_the_user_widen_the_default_space(settings: FineTuneSettings, name: str, value: float) -> None:
    unusual = FineTuneSettings.model_validate({**settings.model_dump(), name: value})
    assert default_space(unusual, POOLINGS).starting_point(unusual)[name] == value


def test_a_file_says_what_varies(settings: FineTuneSettings, tmp_path: Path) -> None:
    file = tmp_path / "space.yaml"
    file.write_text(
        "learning_rate: {low: 1e-5, high: 1e-3, log: true}\nepochs: {low: 2, high: 9}\npooling: {choices: [mean, cls]}\n",
        encoding="utf-8",
    )
    space = load_space(file, settings)
    assert list(space.distributions()) == ["learning_rate", "epochs", "pooling"]
    assert space.starting_point(settings) == {"learning_rate": 3e-4, "epochs": 6, "pooling": "mean"}
    (tmp_path / "space.json").write_text('{"epochs": {"low": 2, "high": 9}}', encoding="utf-8")
    assert load_space(tmp_path / "space.json", settings).starting_point(settings) == {"epochs": 6}


def test_rates_without_a_point_are_numbers(settings: FineTuneSettings, tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("learning_rate: {choices: [1e-4, 2e-4]}", encoding="utf-8")
    assert load_space(tmp_path / "space.yaml", settings).starting_point(settings) == {"learning_rate": 2e-4}


def test_a_start_outside_the_space_moves_to_its_edge(settings: FineTuneSettings) -> None:
    values = {
        "learning_rate": {"low": 1e-5, "high": 1e-4},
        "epochs": {"low": 8, "high": 20, "step": 5},
        "batch_size": {"choices": [8, 16]},
        "dropout": {"low": 0.02, "high": 0.3, "step": 0.05},
    }
    start = SearchSpace.model_validate(values).starting_point(settings)
    assert start == {"learning_rate": 1e-4, "epochs": 8, "batch_size": 16, "dropout": 0.12}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate: {low: 1, high: 0.5}", "learning_rate: .*low must be below high"),
        ("learning_rate: {low: 0, high: 0.5, log: true}", "learning_rate: .*log needs low above 0"),
        ("learning_rate: {low: 1e-5, high: 2}", "learning_rate: .*less than 1"),
        ("learning_rate: {low: 1e-5}", "learning_rate: .*either low and high, or choices"),
        ("dropout: {low: 0, high: 0.5, steps: 3}", "dropout.steps: .*not permitted"),
        ("dropout: {low: a, high: 0.5}", "dropout.low: .*number"),
        ("epochs: {low: 1.5, high: 4}", "epochs takes whole numbers"),
        ("pooling: {low: 0, high: 1}", "pooling is a word"),
        ("pooling: {choices: [mean, max]}", "pooling: .*'mean', 'cls' or 'last'"),
        ("batch_size: {choices: [16]}", "batch_size.choices: .*at least 2"),
        ("max_length: {low: 8, high: 64}", "max_length cannot vary; what can: learning_rate"),
        ("learning_rate", "expected settings such as"),
        ("{}", "no setting varies"),
        ("learning_rate: {low: ", "space.yaml"),
    ],
)
def test_a_bad_file_is_refused_by_field(settings: FineTuneSettings, tmp_path: Path, text: str, expected: str) -> None:
    assert re.search(expected, refusal(text, settings, tmp_path), re.DOTALL)

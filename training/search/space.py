"""The search space: which settings vary, between which bounds; given as a checked file or taken from the defaults."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from training.failures import InvalidSettings
from training.settings import FineTuneSettings
from training.settings_reading import explain

WHOLE = frozenset({"epochs", "batch_size", "gradient_accumulation"})
NAMED = frozenset({"pooling", "class_weights"})
Value = int | float | str


class Dimension(BaseModel):
    """One setting's values: from `low` to `high`, both included, or one of `choices`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Evenly spread over the magnitudes instead of over the values; then `low` is above 0 and there is no `step`."""
    step: float | None = Field(default=None, gt=0)
    choices: tuple[Value, ...] | None = Field(default=None, min_length=2)

    @field_validator("choices", mode="before")
    @classmethod
    def _numbers(cls, choices: Any) -> Any:
        """YAML takes 1e-4 for a word, since it has no point."""
        return [_number(choice) for choice in choices] if isinstance(choices, list) else choices

    @model_validator(mode="after")
    def _consistent(self) -> Dimension:
        if (self.choices is None) == (self.low is None or self.high is None):
            raise ValueError("give either low and high, or choices")
        if self.choices is not None:
            if self.low is not None or self.high is not None or self.log or self.step is not None:
                raise ValueError("choices stand alone, without low, high, log or step")
            return self
        assert self.low is not None and self.high is not None
        if self.low >= self.high:
            raise ValueError("low must be below high")
        if self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("log needs low above 0 and no step")
        return self

    def ends(self) -> tuple[Value, ...]:
        """The extreme values: if the settings take these, they take all."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None and self.high is not None
        return (self.low, self.high)

    def distribution(self, whole: bool) -> BaseDistribution:
        """The same in Optuna's words."""
        if self.choices is not None:
            return CategoricalDistribution(self.choices)
        assert self.low is not None and self.high is not None
        if whole:
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=int(self.step or 1))
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def nearest(self, value: Value) -> Value:
        """The value of this dimension that comes closest to `value`."""
        if self.choices is not None:
            numbers = [choice for choice in self.choices if isinstance(choice, int | float)]
            if value in self.choices or isinstance(value, str) or len(numbers) < len(self.choices):
                return value if value in self.choices else self.choices[0]
            return min(numbers, key=lambda choice: abs(choice - value))
        assert self.low is not None and self.high is not None and not isinstance(value, str)
        inside = min(self.high, max(self.low, value))
        if self.step is not None:
            steps = min(round((inside - self.low) / self.step), math.floor((self.high - self.low) / self.step + 1e-9))
            inside = round(self.low + steps * self.step, 12)
        return inside


def _number(choice: Any) -> Any:
    try:
        return float(choice) if isinstance(choice, str) else choice
    except ValueError:
        return choice


class SearchSpace(BaseModel):
    """The settings that vary; None: it stays as it is. Names and meanings are those of `FineTuneSettings`.

    Settings that decide the tokens (`model`, `max_length`) do not vary: a search tokenizes once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    learning_rate: Dimension | None = None
    epochs: Dimension | None = None
    batch_size: Dimension | None = None
    gradient_accumulation: Dimension | None = None
    head_rate_factor: Dimension | None = None
    dropout: Dimension | None = None
    label_smoothing: Dimension | None = None
    warmup_ratio: Dimension | None = None
    weight_decay: Dimension | None = None
    max_grad_norm: Dimension | None = None
    pooling: Dimension | None = None
    class_weights: Dimension | None = None

    @model_validator(mode="after")
    def _something_varies(self) -> SearchSpace:
        for name, dimension in self.dimensions().items():
            numbers = [value for value in (*dimension.ends(), dimension.step or 1) if isinstance(value, int | float)]
            if name in NAMED and dimension.choices is None:
                raise ValueError(f"{name} is a word: give choices")
            if name in WHOLE and any(number != int(number) for number in numbers):
                raise ValueError(f"{name} takes whole numbers")
        if not self.dimensions():
            raise ValueError("no setting varies")
        return self

    def dimensions(self) -> dict[str, Dimension]:
        """The settings that vary, by name."""
        values = ((name, getattr(self, name)) for name in SearchSpace.model_fields)
        return {name: value for name, value in values if value is not None}

    def distributions(self) -> dict[str, BaseDistribution]:
        """The space in Optuna's words."""
        return {name: each.distribution(name in WHOLE) for name, each in self.dimensions().items()}

    def starting_point(self, settings: FineTuneSettings) -> dict[str, Value]:
        """The settings' own values, moved into the space where they lie outside."""
        values = {name: each.nearest(getattr(settings, name)) for name, each in self.dimensions().items()}
        return {name: int(value) if name in WHOLE else value for name, value in values.items()}


def default_space(settings: FineTuneSettings, poolings: Sequence[str]) -> SearchSpace:
    """What usually matters, around the values that fit would take (`settings` has none that is left to the data).

    `poolings` are those that the encoder can have, the usual ones first.

    The rate and the number of epochs lie around the data's own choice, since both depend on the encoder's width and on
    the rows; Bergstra and Bengio 2012 and Dodge et al. 2020 find the rate to matter most. Bounds always hold the defaults.
    """
    assert settings.learning_rate is not None and settings.epochs is not None
    rate, epochs = settings.learning_rate, settings.epochs
    batches = sorted({16, 32, 64, settings.batch_size})
    spans: dict[str, dict[str, object]] = {
        "learning_rate": {"low": rate / 5, "high": min(0.5, rate * 4), "log": True},
        "epochs": {"low": max(1, epochs // 2), "high": min(200, max(epochs + 2, epochs * 3 // 2))},
        "batch_size": {"choices": batches},
        "head_rate_factor": {"low": 1.0, "high": 30.0, "log": True},
        "dropout": {"low": 0.0, "high": 0.3, "step": 0.05},
        "label_smoothing": {"low": 0.0, "high": 0.2, "step": 0.05},
        "warmup_ratio": {"low": 0.0, "high": 0.2, "step": 0.02},
        "weight_decay": {"low": 1e-4, "high": 0.1, "log": True},
        "pooling": {"choices": list(poolings[:2])},
    }
    return SearchSpace.model_validate({name: _holding(span, getattr(settings, name)) for name, span in spans.items()})


def _holding(span: dict[str, object], value: Value) -> dict[str, object]:
    """The span, widened to hold a value that the user set outside it; its grid is given up then."""
    low, high = span.get("low"), span.get("high")
    if not isinstance(low, int | float) or not isinstance(high, int | float) or isinstance(value, str):
        return span
    if Dimension.model_validate(span).nearest(value) == value:
        return span
    return {"low": min(low, value), "high": max(high, value), "log": bool(span.get("log")) and value > 0}


def load_space(file: Path, settings: FineTuneSettings) -> SearchSpace:
    """The space of a YAML or JSON file. Raises InvalidSettings that names the file and each wrong field.

    A bound that `FineTuneSettings` would refuse is refused here, before the first trial.
    """
    import yaml

    try:
        text = file.read_text(encoding="utf-8")
        values = json.loads(text) if file.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise InvalidSettings(f"search space {file}: {error}") from None
    if not isinstance(values, dict):
        raise InvalidSettings(
            f"search space {file}: expected settings such as `learning_rate: {{low: 1e-5, high: 1e-3}}`"
        )
    if unknown := sorted(set(values) - set(SearchSpace.model_fields)):
        known = ", ".join(SearchSpace.model_fields)
        raise InvalidSettings(f"search space {file}: {', '.join(map(str, unknown))} cannot vary; what can: {known}")
    try:
        space = SearchSpace.model_validate(values)
        for name, dimension in space.dimensions().items():
            for value in dimension.ends():
                with_parameters(settings, {name: int(value) if name in WHOLE else value})
    except ValidationError as error:
        raise InvalidSettings(f"search space {file}: {explain(error)}") from None
    return space


def with_parameters(settings: FineTuneSettings, parameters: dict[str, Any]) -> FineTuneSettings:
    """The settings with some values replaced, checked. Raises pydantic's ValidationError."""
    return FineTuneSettings.model_validate({**settings.model_dump(), **parameters})

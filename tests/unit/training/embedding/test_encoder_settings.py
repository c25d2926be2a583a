"""What a sentence encoder cannot be trained with is refused before any data are read."""

from __future__ import annotations

import pytest

from training.failures import InvalidSettings
from training.settings_reading import load_settings


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ({"method": "frozen"}, "has no head"),
        ({"method": "adapters"}, "use lora or adalora"),
        ({"method": "prefix"}, "use lora or adalora"),
        ({"batch_size": 1}, "give 2 or more"),
        ({"loss": "focal"}, "for labels"),
    ],
)
def test_settings_that_do_not_fit_are_told(flags: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidSettings, match=told):
        load_settings(None, {"name": "near", "task": "embedding", **flags}, {"path": "pairs.csv"})

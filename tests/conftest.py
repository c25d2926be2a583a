"""What every test needs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# no test reaches a model hub; the library reads this when it is imported, and otherwise tries for half a minute
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_DATASETS_OFFLINE"] = "1"

# tiny models gain nothing from threads, which only get in one another's way; read by torch and others as they are imported
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Servers under test, also those in other processes, keep their records away from the user's."""
    folder = tmp_path_factory.mktemp("state")
    before = os.environ.get("BERTLINE_STATE_DIR")
    os.environ["BERTLINE_STATE_DIR"] = str(folder)
    yield folder
    if before is None:
        del os.environ["BERTLINE_STATE_DIR"]
    else:
        os.environ["BERTLINE_STATE_DIR"] = before

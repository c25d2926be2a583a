"""The command line answers at once: what takes seconds to import comes with the work that needs it."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "what",
    ["import training.__main__", "from training.threads import use_threads; use_threads(None)"],
    ids=["the commands are known", "no number of threads is set"],
)
def test_torch_is_not_imported_before(what: str) -> None:
    asked = f"import sys; {what}; print(sorted({{'torch', 'transformers', 'numpy'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"

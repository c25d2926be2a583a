"""The command line answers at once: what takes seconds to import comes with the work that needs it."""

from __future__ import annotations

import subprocess
import sys


def test_the_commands_are_known_without_torch() -> None:
    asked = "import sys, training.__main__; print(sorted({'torch', 'transformers', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"

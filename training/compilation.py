"""torch.compile for the layers of an encoder.

Each layer is compiled by itself and in place: they are alike, so the compiler's work is done once for all of them, and names of
weights stay. Lengths are symbols, or every length of a batch would be compiled anew.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import torch

from training.failures import InvalidSettings


def compile_layers(encoder: Any) -> None:
    """Compiles when a layer first runs. Raises InvalidSettings for encoders whose layers are not known, and where the processor
    is to run them but there is no compiler."""
    names = set(getattr(encoder, "_no_split_modules", None) or ())
    layers = [module for module in encoder.modules() if type(module).__name__ in names]
    if not layers:
        raise InvalidSettings(f"compile_layers: a {encoder.config.model_type} encoder does not tell its layers")
    compiler = os.environ.get("CXX", "g++")
    if not torch.cuda.is_available() and shutil.which(compiler) is None:
        raise InvalidSettings(f"compile_layers: there is no {compiler}; install a C++ compiler, or name one in CXX")
    for layer in layers:
        layer.compile(dynamic=True)

"""How many threads torch computes with."""

from __future__ import annotations


def use_threads(count: int | None) -> None:
    """Limits torch to `count` threads, if given."""
    if count is not None:
        import torch

        torch.set_num_threads(count)

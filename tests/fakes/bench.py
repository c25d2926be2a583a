"""A machine that exists only as timings, as `export.tuning.rounds.Bench`: what a batch takes is a formula, noise lengthens it."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

RUN_COST_TOKENS = 6.0


class FakeBench:
    """`token_s`: seconds a padded token takes with each variant. Time passes only by what is run."""

    def __init__(
        self,
        token_s: Mapping[str, float],
        *,
        cores: int = 2,
        cache_tokens: int = 256,
        noise: float = 0.0,
        others: float = 0.0,
        speed_up: float = 1.5,
        run_cost: float = RUN_COST_TOKENS,
        on_gpu: bool = False,
        seed: int = 0,
    ) -> None:
        self.on_gpu = on_gpu
        self.cores = cores
        self.time = 0.0
        self.runs: list[tuple[str, tuple[int, ...]]] = []
        self._token_s = dict(token_s)
        self._cache_tokens = cache_tokens
        self._noise = noise
        self._others = others
        self._speed_up = speed_up
        self._run_cost = run_cost
        self._random = random.Random(seed)

    def now(self) -> float:
        return self.time

    def narrow(self, variant: str, lengths: Sequence[int]) -> float:
        self.runs.append((variant, tuple(lengths)))
        tokens = len(lengths) * max(lengths)
        slow = 1.3 if tokens > self._cache_tokens else 1.0
        return self._noisy(self._token_s[variant] * (self._run_cost + tokens * slow))

    def wide(self, variant: str, length: int) -> float:
        return self._noisy(self._token_s[variant] * (self._run_cost + length) / self._speed_up)

    def used_elsewhere(self) -> float:
        return self._others

    def _noisy(self, seconds: float) -> float:
        seconds *= 1 + self._noise * self._random.expovariate(1.0)
        self.time += seconds
        return seconds

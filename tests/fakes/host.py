"""Hosts that exist only as timings: what a run takes is a formula, and noise only ever makes it longer."""

from __future__ import annotations

import random

from services.inference.execution.calibration import Lone, Shape


class FakeHost:
    """As `calibration.Stopwatch`. Time passes only by what is run."""

    def __init__(
        self,
        cores: int = 2,
        run_cost: float = 8.0,
        cache_tokens: int = 100_000,
        speed_up: float = 1.5,
        together: float = 1.0,
        hand_over_s: float = 0.001,
        token_s: float = 1e-4,
        noise: float = 0.0,
        others: float = 0.0,
        seed: int = 0,
        binding_saves: float | None = None,
    ) -> None:
        self.cores = cores
        self.bindable = binding_saves is not None
        self._run_cost = run_cost
        self._cache_tokens = cache_tokens
        self._speed_up = speed_up
        self._together = together
        self._hand_over_s = hand_over_s
        self._token_s = token_s
        self._noise = noise
        self._others = others
        self._random = random.Random(seed)
        self._saved = binding_saves or 0.0
        self._bound = False
        self.time = 0.0
        self.longest = 0.0

    def now(self) -> float:
        return self.time

    def busy(self, threads: int, shape: Shape) -> list[float]:
        """A layout of several threads a run takes `together` times the core seconds."""
        cost = self._seconds(shape.tokens) * (1.0 if threads == 1 else self._together / threads)
        if self._bound:
            cost *= 1.0 - self._saved
        runs = [self._noisy(cost) for _ in range(max(1, self.cores // threads))]
        self.time += max(runs)
        return runs

    def lone(self, wide: bool, length: int) -> Lone:
        seconds = self._seconds(length)
        if wide:
            seconds = seconds / self._speed_up + self._hand_over_s
        wall = self._noisy(seconds * (1 + self._others))
        self.time += wall
        return Lone(wall, seconds)

    def used_elsewhere(self) -> float:
        return self._others

    def bind(self, on: bool) -> None:
        self._bound = on

    def _seconds(self, tokens: int) -> float:
        slow = 1.5 if tokens > self._cache_tokens else 1.0
        return (self._run_cost + tokens * slow) * self._token_s

    def _noisy(self, seconds: float) -> float:
        late = self._random.expovariate(1.0) * self._noise
        if self._noise and self._random.random() < 0.1:
            late += self._random.uniform(0.0, 2.0)
        seconds *= 1 + late
        self.longest = max(self.longest, seconds)
        return seconds

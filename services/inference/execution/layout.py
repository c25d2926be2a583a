"""Which sessions of a variant are open: those that a calibration compares, then those that serve."""

from __future__ import annotations

from dataclasses import dataclass

from services.inference.execution.session import Opener, Session


@dataclass(frozen=True, slots=True)
class Layout:
    """The sessions that serve. One thread a worker needs a single session for all; others have one for each worker."""

    narrow: tuple[Session, ...]
    wide: Session | None
    threads: int
    """Of each narrow session."""

    @property
    def sessions(self) -> list[Session]:
        """All of them."""
        return [*self.narrow, *([self.wide] if self.wide is not None else [])]


class SessionSet:
    """Sessions by their number of threads, opened when they are first asked for."""

    def __init__(self, opener: Opener, cores: int, workers: int) -> None:
        self._opener = opener
        self.on_gpu = opener.device.on_gpu
        self.device = opener.device
        self.cores = 1 if self.on_gpu else cores
        self.workers = workers
        self._open: dict[int, list[Session]] = {}

    def of(self, threads: int) -> list[Session]:
        """Sessions of so many threads: one where workers can share it or there is room for one alone, else one a worker."""
        if threads not in self._open:
            count = 1 if threads == 1 else max(1, self.cores // threads)
            self._open[threads] = [self._opener.open(threads) for _ in range(count)]
        return self._open[threads]

    def settle(self, threads: int, wide: bool, bound: bool) -> Layout:
        """Keeps what serves and closes the rest."""
        narrow = self.of(threads)
        for session in narrow:
            if bound and self.on_gpu:
                session.bind(self.device)
            else:
                session.unbind()
        layout = Layout(tuple(narrow), self.of(self.cores)[0] if wide and threads < self.cores else None, threads)
        self._open = {}
        return layout

"""Where studies are kept: an SQLite file or a PostgreSQL database, and the lock that workers share there.

Optuna writes plain columns and JSON; nothing is pickled. A worker holds the lock while it opens the study and while it
takes a trial, so that workers started together make the tables once and never take more trials than were asked for. The
lock ends with its process, however that ends.
"""

from __future__ import annotations

import fcntl
import hashlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from optuna.exceptions import ExperimentalWarning, StorageInternalError
from optuna.storages import RDBStorage, RetryHeartbeatStaleTrialCallback
from sqlalchemy import create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from training.failures import InvalidSettings
from training.packages import require

BEATS_OF_GRACE = 6
"""A trial without a sign of life for this many beats has lost its worker."""
RETRIES = 3
"""A trial that has lost this many workers is left failed: its settings may be what ends them."""
PATIENCE_S = 60
"""Seconds that a statement waits for another worker's SQLite transaction."""


class Storage:
    """Names a database and opens it; creating the object touches nothing."""

    def __init__(self, url: URL) -> None:
        self._url = url
        self.shown = url.render_as_string(hide_password=True)

    @classmethod
    def of(cls, url: str | None, folder: Path) -> Storage:
        """The database of a URL, else the file study.db in `folder`.

        Raises InvalidSettings for what it cannot be, MissingPackage without a driver.
        """
        if url is None:
            return cls(URL.create("sqlite", database=str((folder / "study.db").resolve())))
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise InvalidSettings(f"{url!r} is no database URL: give postgresql://USER@HOST/DATABASE") from None
        if parsed.drivername in {"postgresql", "postgres"}:
            parsed = parsed.set(drivername="postgresql+psycopg")
        if parsed.drivername == "postgresql+psycopg":
            require("psycopg", "a study in PostgreSQL", "postgresql")
        backend = parsed.get_backend_name() if parsed.drivername.startswith(("sqlite", "postgresql")) else None
        if backend is None or (backend == "sqlite" and parsed.database in {None, "", ":memory:"}):
            raise InvalidSettings(f"a study is kept in an SQLite file or in PostgreSQL, not in {parsed.drivername}")
        return cls(parsed)

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server."""
        database = self._url.database
        return Path(database) if self._url.get_backend_name() == "sqlite" and database else None

    @contextmanager
    def exclusive(self, name: str) -> Iterator[None]:
        """Waits until no other worker is in this block for the study `name`."""
        if self.file is None:
            with self._advisory_lock(name):
                yield
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.with_suffix(".lock").open("a") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _advisory_lock(self, name: str) -> Iterator[None]:
        key = int.from_bytes(hashlib.sha256(f"bertline.search.{name}".encode()).digest()[:8], "big", signed=True)
        with self.faults():
            connection = create_engine(self._url, poolclass=NullPool).connect()
        with connection:
            connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": key})
            yield

    def open(self, beat_s: int) -> RDBStorage:
        """Optuna's storage; makes the tables where they are missing, so hold the lock.

        Args:
            beat_s: Seconds between two signs of life of a running trial, 1 or more.
        """
        with warnings.catch_warnings(), self.faults():
            warnings.simplefilter("ignore", ExperimentalWarning)
            return RDBStorage(
                self._url.render_as_string(hide_password=False),
                engine_kwargs={"connect_args": {"timeout": PATIENCE_S}} if self.file else {"pool_pre_ping": True},
                heartbeat_interval=beat_s,
                grace_period=BEATS_OF_GRACE * beat_s,
                heartbeat_stale_trial_callback=RetryHeartbeatStaleTrialCallback(max_retry=RETRIES),
            )

    @contextmanager
    def faults(self) -> Iterator[None]:
        """Turns a database that is missing, refuses or goes away into InvalidSettings with its name and reason."""
        try:
            yield
        except (SQLAlchemyError, StorageInternalError) as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise InvalidSettings(f"the database {self.shown} cannot be used: {reason}") from None

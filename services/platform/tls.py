"""TLS certificates that are read anew when their files change, without a restart."""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog

log = structlog.get_logger()


class BrokenCertificate(Exception):
    """The files cannot be read or do not fit together; the message says which and why."""


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. With `client_ca`, callers must present a certificate signed by it (mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


class Certificates:
    """What the files hold. gRPC asks before each handshake, so a change counts from the next connection on.

    Whoever replaces the files should do so by renaming, key and certificate one after the other: between the two they do
    not fit, the old pair goes on, and a line in the log says so.
    """

    def __init__(self, files: TlsFiles) -> None:
        """Raises BrokenCertificate."""
        self._files = files
        self._lock = threading.Lock()
        self._seen = self._marks()
        self._configuration = self._read()

    def credentials(self) -> grpc.ServerCredentials:
        """For `add_secure_port`."""
        mutual = self._files.client_ca is not None
        return grpc.dynamic_ssl_server_credentials(self._configuration, self.changed, mutual)  # type: ignore[arg-type]  # None: unchanged

    def changed(self) -> grpc.ServerCertificateConfiguration | None:
        """The new configuration if the files changed and are sound, else None. Any thread may ask."""
        with self._lock:
            marks = self._marks()
            if marks == self._seen:
                return None
            self._seen = marks
        try:
            configuration = self._read()
        except BrokenCertificate as error:
            log.error("certificate not reloaded, the old one goes on", why=str(error))
            return None
        log.info("certificate reloaded", file=str(self._files.certificate))
        return configuration

    def _paths(self) -> list[Path]:
        return [path for path in (self._files.certificate, self._files.key, self._files.client_ca) if path is not None]

    def _marks(self) -> list[tuple[int, int, int] | None]:
        """What tells a changed file from an unchanged one; follows links, as Kubernetes replaces secrets."""
        marks: list[tuple[int, int, int] | None] = []
        for path in self._paths():
            try:
                status = path.stat()
            except OSError:
                marks.append(None)
            else:
                marks.append((status.st_ino, status.st_mtime_ns, status.st_size))
        return marks

    def _read(self) -> grpc.ServerCertificateConfiguration:
        certificate, key, *ca = [_bytes(path) for path in self._paths()]
        # gRPC would refuse a broken pair, too, but only when the next caller comes, and without a reason that we can log
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._files.certificate, self._files.key, password=_no_password)
        except (ssl.SSLError, OSError, ValueError) as error:
            raise BrokenCertificate(f"{self._files.certificate} and {self._files.key}: {_reason(error)}") from None
        try:
            if self._files.client_ca is not None:
                context.load_verify_locations(self._files.client_ca)
        except (ssl.SSLError, OSError) as error:
            raise BrokenCertificate(f"{self._files.client_ca}: {_reason(error)}") from None
        return grpc.ssl_server_certificate_configuration([(key, certificate)], ca[0] if ca else None)


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BrokenCertificate(f"cannot read {path}: {error.strerror}") from None


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError) and error.reason == "KEY_VALUES_MISMATCH":
        return "the key does not belong to the certificate"
    return str(error)

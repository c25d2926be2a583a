"""Certificates that change while the server runs; real handshakes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import structlog

from services.clients import ClientTls, InferenceClient, Unavailable
from services.inference.settings import InferenceSettings
from services.platform.server import ServerNotStarted
from services.platform.tls import BrokenCertificate, Certificates, TlsFiles
from tests.fakes.certificates import CertificateFiles, make_certificate
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import publish_tiny


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[CertificateFiles]:
    """Two certificates that do not know each other."""
    folder = tmp_path_factory.mktemp("made")
    return [make_certificate(folder, name) for name in ("first", "second")]


@pytest.fixture
def own(tmp_path: Path, made: list[CertificateFiles]) -> CertificateFiles:
    """The files that the server is given: the first certificate."""
    files = CertificateFiles(tmp_path / "server.pem", tmp_path / "server-key.pem")
    files.replace(made[0])
    return files


@contextmanager
def server(folder: Path, own: CertificateFiles, client_ca: Path | None = None) -> Iterator[str]:
    publish_tiny(folder / "registry")
    settings = InferenceSettings(
        registry=str(folder / "registry"),
        port=0,
        tls_certificate=own.certificate,
        tls_key=own.key,
        tls_client_ca=client_ca,
    )
    with running_server(settings) as address:
        yield address


def reaches(address: str, tls: ClientTls) -> bool:
    """Whether a caller on a new connection is answered."""
    with InferenceClient(address, tls=tls) as client:
        try:
            return client.classify(["bank"]).model == "tiny"
        except Unavailable:
            return False


def trusting(files: CertificateFiles) -> ClientTls:
    return ClientTls(files.certificate)


def test_a_replaced_certificate_counts_from_the_next_connection_on(
    tmp_path: Path, own: CertificateFiles, made: list[CertificateFiles]
) -> None:
    first, second = made
    with server(tmp_path, own) as address, InferenceClient(address, tls=trusting(first)) as before:
        assert before.classify(["bank"]).model == "tiny"
        assert not reaches(address, trusting(second))
        own.replace(second)
        assert reaches(address, trusting(second))
        assert not reaches(address, trusting(first))
        assert before.classify(["bank"]).model == "tiny", "connections that stood were cut"


def test_a_broken_certificate_changes_nothing_and_is_logged_once(
    tmp_path: Path, own: CertificateFiles, made: list[CertificateFiles]
) -> None:
    first, second = made
    with server(tmp_path, own) as address, structlog.testing.capture_logs() as logs:
        own.certificate.write_text("no certificate", encoding="ascii")
        assert reaches(address, trusting(first))
        assert reaches(address, trusting(first))
        refused = [entry for entry in logs if entry["event"].startswith("certificate not reloaded")]
        assert len(refused) == 1
        assert refused[0]["log_level"] == "error"
        assert str(own.certificate) in refused[0]["why"]
        own.replace(second)
        assert reaches(address, trusting(second))
        assert [entry["event"] for entry in logs].count("certificate reloaded") == 1


def test_a_key_of_another_certificate_is_not_taken(own: CertificateFiles, made: list[CertificateFiles]) -> None:
    certificates = Certificates(TlsFiles(own.certificate, own.key))
    shutil.copy(made[1].key, own.key)
    with structlog.testing.capture_logs() as logs:
        assert certificates.changed() is None
    assert "the key does not belong to the certificate" in logs[0]["why"]
    shutil.copy(made[1].certificate, own.certificate)
    assert certificates.changed() is not None
    assert certificates.changed() is None


def test_files_that_vanish_change_nothing(own: CertificateFiles) -> None:
    certificates = Certificates(TlsFiles(own.certificate, own.key))
    own.key.unlink()
    with structlog.testing.capture_logs() as logs:
        assert certificates.changed() is None
    assert f"cannot read {own.key}" in logs[0]["why"]


def test_who_may_call_changes_with_the_clients_authority(
    tmp_path: Path, own: CertificateFiles, made: list[CertificateFiles]
) -> None:
    first, second = made
    authority = tmp_path / "clients.pem"
    shutil.copy(first.certificate, authority)
    as_first = ClientTls(own.certificate, first.certificate, first.key)
    as_second = ClientTls(own.certificate, second.certificate, second.key)
    with server(tmp_path, own, authority) as address:
        assert reaches(address, as_first)
        assert not reaches(address, as_second)
        shutil.copy(second.certificate, authority)
        assert reaches(address, as_second)
        assert not reaches(address, as_first)
        assert not reaches(address, trusting(own)), "nobody without a certificate"


def test_broken_files_at_start_say_what_is_wrong(own: CertificateFiles, tmp_path: Path) -> None:
    own.key.write_text("no key", encoding="ascii")
    with pytest.raises(BrokenCertificate, match="server-key"):
        Certificates(TlsFiles(own.certificate, own.key))
    with pytest.raises(BrokenCertificate, match="cannot read"):
        Certificates(TlsFiles(tmp_path / "absent.pem", own.key))
    with pytest.raises(ServerNotStarted, match="TLS"), server(tmp_path, own):
        pass

"""Real certificates, made by openssl."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class CertificateFiles:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""

    certificate: Path
    key: Path

    def replace(self, other: CertificateFiles) -> None:
        """As a tool that renews certificates does: each file is replaced in one step."""
        for own, new in ((self.key, other.key), (self.certificate, other.certificate)):
            aside = own.with_suffix(".new")
            shutil.copy(new, aside)
            aside.rename(own)


def make_certificate(folder: Path, name: str = "server") -> CertificateFiles:
    """Writes NAME.pem and NAME-key.pem. Skips the test where there is no openssl."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: TLS was not tried")
    files = CertificateFiles(folder / f"{name}.pem", folder / f"{name}-key.pem")
    names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(
        [*command, *names, "-keyout", str(files.key), "-out", str(files.certificate)], check=True, capture_output=True
    )
    return files

"""Ed25519 signatures of bundles: keys, the detached file beside the manifest, and who is trusted. Pure: no torch.

What is signed are the exact bytes of manifest.json. It holds the SHA-256 of every other file, and the model's name and version,
so that a signed bundle can neither be changed nor pass for another one. A key's id is the SHA-256 of its 32 public bytes, in
hexadecimal, cut to 16 digits; it says which key to try and proves nothing.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError

from export.contract import Contract
from export.failures import BadKey, UntrustedBundle

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNATURES = "manifest.sig"
PRIVATE_SUFFIX, PUBLIC_SUFFIX = ".key", ".pub"
KEY_ID = r"^[0-9a-f]{16}$"
LARGEST_KEY_FILE = 10_000
"""Bytes; a PEM file of such a key has some hundred."""


class Signature(Contract):
    """One key's signature: 64 bytes, in base64."""

    key_id: str = Field(pattern=KEY_ID)
    algorithm: Literal["ed25519"] = "ed25519"
    value: str


class Signatures(Contract):
    """Content of manifest.sig. Several keys may sign one bundle, so that a key can be replaced by another."""

    schema_version: Literal[1] = 1
    signatures: list[Signature] = Field(default=[])

    def added(self, signature: Signature) -> Signatures:
        """With the signature in place of a former one by the same key."""
        others = [each for each in self.signatures if each.key_id != signature.key_id]
        return self.model_copy(update={"signatures": [*others, signature]})


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key. It shows itself in no message."""

    id: str
    _key: Ed25519PrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.id})"

    @classmethod
    def read(cls, path: Path) -> SigningKey:
        """From a PEM file (PKCS 8) that only its owner may read. Raises BadKey that says what to do."""
        _need_cryptography()
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import ed25519

        content = _content(path)
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise BadKey(f"{path} may be read by others than its owner: `chmod 600 {path}`, and think of who had it")
        try:
            key = serialization.load_pem_private_key(content, password=None)
        except (ValueError, TypeError):
            raise BadKey(
                f"{path} is no private key in PEM without a passphrase: give the .key file of `python -m export keygen`"
            ) from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise BadKey(
                f"{path} is a private key of another kind than Ed25519: make one with `python -m export keygen`"
            )
        return cls(key_id(key.public_key()), key)

    def sign(self, manifest: bytes) -> Signature:
        """Signs the bytes of manifest.json."""
        return Signature(key_id=self.id, value=base64.b64encode(self._key.sign(manifest)).decode())


@dataclass(frozen=True, slots=True)
class TrustedKeys:
    """Public keys whose signature makes a bundle trusted: PEM files, and folders of such files that end in .pub.

    The files are read whenever a bundle is checked, so that a key can be added or taken away while a server runs.
    """

    paths: tuple[Path, ...]

    def read(self) -> dict[str, Ed25519PublicKey]:
        """Key id -> key. Raises BadKey for a file that is none, and where there is no key at all."""
        files = [file for path in self.paths for file in _public_files(path)]
        if not files:
            raise BadKey(
                f"no public key ({PUBLIC_SUFFIX}) in {', '.join(map(str, self.paths))}: nothing can be trusted"
            )
        keys = [_public_key(file) for file in files]
        return {key_id(key): key for key in keys}

    def require(self, manifest: bytes, signatures: bytes | None, source: str) -> str:
        """The id of a trusted key that signed these bytes of manifest.json.

        `signatures` is the content of manifest.sig, None where there is none. Raises UntrustedBundle naming `source`, BadKey.
        """
        keys = self.read()
        if signatures is None:
            raise UntrustedBundle(
                f"{source} is not signed, and only signed bundles are trusted: sign it with `python -m export sign`"
            )
        found = _parsed(signatures, source).signatures
        known = [each for each in found if each.key_id in keys]
        if not known:
            signers = ", ".join(each.key_id for each in found) or "nobody"
            raise UntrustedBundle(
                f"{source} is signed by {signers}, trusted are {', '.join(sorted(keys))}: add the public key of whoever "
                "signed it, or sign it with a trusted one"
            )
        for each in known:
            if _holds(keys[each.key_id], each, manifest):
                return each.key_id
        raise UntrustedBundle(
            f"{source}: the signature by {known[0].key_id} is not one of this manifest, one of the two was changed: "
            "publish the bundle again"
        )


def generate(path: Path) -> tuple[Path, Path, str]:
    """Makes a key pair; returns the private file (mode 0600), the public one, and the key's id.

    `path` is the private file, whose name ends in .key, or a folder, in which they are signing.key and signing.pub. Raises
    BadKey where one of them exists: a key is never overwritten.
    """
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    private = path if path.suffix == PRIVATE_SUFFIX else path / f"signing{PRIVATE_SUFFIX}"
    public = private.with_suffix(PUBLIC_SUFFIX)
    for file in (private, public):
        if file.exists():
            raise BadKey(f"{file} exists, and a key is never overwritten: give another name, such as {path}/NAME.key")
    key = ed25519.Ed25519PrivateKey.generate()
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    shown = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        private.parent.mkdir(parents=True, exist_ok=True)
        _write_new(private, secret, 0o600)
        _write_new(public, shown, 0o644)
    except OSError as error:
        raise BadKey(f"{error.filename or private} cannot be written: {error.strerror or error}") from None
    return private, public, key_id(key.public_key())


def key_id(key: Ed25519PublicKey) -> str:
    """See the module."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """With the mode from the first moment on."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)


def _public_files(path: Path) -> Sequence[Path]:
    return sorted(path.glob(f"*{PUBLIC_SUFFIX}")) if path.is_dir() else [path]


def _public_key(path: Path) -> Ed25519PublicKey:
    _need_cryptography()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ed25519

    content = _content(path)
    if b"PRIVATE KEY" in content:
        raise BadKey(
            f"{path} is a private key: give the public one ({PUBLIC_SUFFIX}), and keep this one where you sign"
        )
    try:
        key = serialization.load_pem_public_key(content)
    except ValueError:
        raise BadKey(f"{path} is no public key in PEM: give the .pub file of `python -m export keygen`") from None
    if not isinstance(key, ed25519.Ed25519PublicKey):
        raise BadKey(f"{path} is a public key of another kind than Ed25519: make one with `python -m export keygen`")
    return key


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            content = stream.read(LARGEST_KEY_FILE + 1)
    except OSError as error:
        raise BadKey(f"key {path} cannot be read: {error.strerror}; `python -m export keygen` makes one") from None
    if len(content) > LARGEST_KEY_FILE:
        raise BadKey(f"{path} is larger than any key")
    return content


def _parsed(content: bytes, source: str) -> Signatures:
    try:
        return Signatures.model_validate_json(content)
    except ValidationError:
        raise UntrustedBundle(
            f"{source}: its {SIGNATURES} is malformed: sign it with `python -m export sign`"
        ) from None


def _holds(key: Ed25519PublicKey, signature: Signature, manifest: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(base64.b64decode(signature.value, validate=True), manifest)
    except (InvalidSignature, binascii.Error):
        return False
    return True


def _need_cryptography() -> None:
    if find_spec("cryptography") is None:
        raise BadKey("signatures need the package cryptography: install the extra `signing`")

from __future__ import annotations

import base64
import json
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from export.__main__ import app
from export.bundle import MANIFEST, open_bundle
from export.failures import BadKey, MalformedBundle, UntrustedBundle
from export.registry import Registry
from export.signing import SIGNATURES, SigningKey, TrustedKeys, generate
from tests.fakes.changed_bundle import changed
from tests.fakes.tiny_bundle import publish_tiny


def keys(folder: Path) -> tuple[SigningKey, TrustedKeys]:
    private, public, _ = generate(folder)
    return SigningKey.read(private), TrustedKeys((public,))


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, list(words))
    return done.exit_code, " ".join(done.output.split())


def test_a_signed_bundle_opens_with_the_key_and_is_signed_from_its_first_moment(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    plain = publish_tiny(tmp_path / "models", "news")
    registry = Registry(str(tmp_path / "models"), trusted=trusted)
    signed = changed(plain, registry, key, labels=["体育", "财经", "科技"])
    assert signed.manifest.version == 2
    assert registry.open("news", 2).manifest.labels == ["体育", "财经", "科技"]
    assert {path.name for path in signed.path.iterdir()} == {path.name for path in plain.path.iterdir()} | {SIGNATURES}


def test_what_nobody_signed_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    _, trusted = keys(tmp_path / "keys")
    publish_tiny(tmp_path / "models", "news")
    with pytest.raises(UntrustedBundle, match=r"is not signed.*python -m export sign"):
        Registry(str(tmp_path / "models"), trusted=trusted).open("news", 1)


def test_a_signature_by_an_unknown_key_is_refused_by_its_id(tmp_path: Path) -> None:
    stranger, _ = keys(tmp_path / "stranger")
    key, trusted = keys(tmp_path / "keys")
    publish_tiny(tmp_path / "models", "news")
    registry = Registry(str(tmp_path / "models"))
    registry.sign("news", 1, stranger)
    with pytest.raises(UntrustedBundle, match=rf"signed by {stranger.id}, trusted are {key.id}"):
        open_bundle(tmp_path / "models/news/1", trusted)
    # who signs later takes nothing from who signed before
    registry.sign("news", 1, key)
    assert open_bundle(tmp_path / "models/news/1", trusted).manifest.version == 1
    ids = {each["key_id"] for each in json.loads((tmp_path / "models/news/1" / SIGNATURES).read_text())["signatures"]}
    assert ids == {stranger.id, key.id}


def test_one_changed_character_of_the_manifest_breaks_its_signature(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    Registry(str(tmp_path / "models")).sign("news", 1, key)
    manifest = bundle.path / MANIFEST
    manifest.write_text(manifest.read_text().replace('"encoder": "tiny"', '"encoder": "tinY"'))
    assert open_bundle(bundle.path).manifest.encoder == "tinY"
    with pytest.raises(UntrustedBundle, match=f"the signature by {key.id} is not one of this manifest"):
        open_bundle(bundle.path, trusted)


def test_a_signature_does_not_serve_for_another_version_or_for_changed_weights(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    models = tmp_path / "models"
    first = publish_tiny(models, "news")
    second = publish_tiny(models, "news", rotated=1)
    registry = Registry(str(models), trusted=trusted)
    Registry(str(models)).sign("news", 1, key)
    shutil.copy(first.path / SIGNATURES, second.path)
    with pytest.raises(UntrustedBundle, match="is not one of this manifest"):
        registry.open("news", 2)
    shutil.copytree(first.path, models / "news" / "3")
    with pytest.raises(MalformedBundle, match="moved by hand"):
        registry.open("news", 3)
    (first.path / "fp32.onnx").write_bytes(b"x" * (first.path / "fp32.onnx").stat().st_size)
    with pytest.raises(MalformedBundle, match="SHA-256"):
        registry.open("news", 1)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"signatures": [{"key_id": "x", "value": ""}]}', "\x00\xff"])
def test_a_malformed_signature_file_trusts_nothing(tmp_path: Path, content: str) -> None:
    _, trusted = keys(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    (bundle.path / SIGNATURES).write_text(content, encoding="latin-1")
    with pytest.raises(UntrustedBundle):
        open_bundle(bundle.path, trusted)


def test_a_known_id_beside_made_up_bytes_trusts_nothing(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    for value in (base64.b64encode(b"x" * 64).decode(), base64.b64encode(b"short").decode(), "no base64 at all!", ""):
        made_up = {"signatures": [{"key_id": key.id, "value": value}]}
        (bundle.path / SIGNATURES).write_text(json.dumps(made_up))
        with pytest.raises(UntrustedBundle, match="is not one of this manifest"):
            open_bundle(bundle.path, trusted)


def test_openssl_agrees_with_the_signature(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl here")
    private, public, _ = generate(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    Registry(str(tmp_path / "models")).sign("news", 1, SigningKey.read(private))
    said = json.loads((bundle.path / SIGNATURES).read_text())
    (tmp_path / "raw").write_bytes(base64.b64decode(said["signatures"][0]["value"]))
    command = [openssl, "pkeyutl", "-verify", "-pubin", "-inkey", public, "-rawin"]
    done = subprocess.run(
        [*command, "-in", bundle.path / MANIFEST, "-sigfile", tmp_path / "raw"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_private_key_is_its_owners_alone_and_neither_key_is_overwritten(tmp_path: Path) -> None:
    private, public, number = generate(tmp_path / "keys")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    before = private.read_bytes(), public.read_bytes()
    with pytest.raises(BadKey, match="never overwritten"):
        generate(tmp_path / "keys")
    assert (private.read_bytes(), public.read_bytes()) == before
    other, _, another = generate(tmp_path / "keys" / "news.key")
    assert other.name == "news.key"
    assert another != number
    assert set(TrustedKeys((tmp_path / "keys",)).read()) == {number, another}


def test_a_key_that_others_may_read_is_not_used(tmp_path: Path) -> None:
    private, _, _ = generate(tmp_path)
    private.chmod(0o644)
    with pytest.raises(BadKey, match="chmod 600"):
        SigningKey.read(private)


def test_a_key_shows_itself_nowhere(tmp_path: Path) -> None:
    private, _, number = generate(tmp_path)
    secret = "".join(private.read_text().splitlines()[1:-1])
    key = SigningKey.read(private)
    assert repr(key) == f"SigningKey({number})"
    publish_tiny(tmp_path / "models", "news")
    words = ["sign", "news", "--version", "1", "--key", str(private), "--registry", str(tmp_path / "models")]
    status, output = run(*words)
    assert status == 0, output
    assert number in output
    assert secret not in output.replace(" ", "")


def test_what_is_no_key_is_named_with_what_to_do(tmp_path: Path) -> None:
    private, public, _ = generate(tmp_path / "keys")
    curve = ec.generate_private_key(ec.SECP256R1())
    other = tmp_path / "curve.key"
    plain = serialization.NoEncryption()
    pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    other.write_bytes(curve.private_bytes(pem, form, plain))
    locked = tmp_path / "locked.key"
    locked.write_bytes(curve.private_bytes(pem, form, serialization.BestAvailableEncryption(b"secret")))
    shown = tmp_path / "curve.pub"
    shown.write_bytes(curve.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    large = tmp_path / "large.key"
    large.write_bytes(b"x" * 20_000)
    wrong = tmp_path / "word.key"
    wrong.write_text("密钥")
    for file in (other, locked, large, wrong):
        file.chmod(0o600)
    for file, said in (
        (other, "another kind"),
        (locked, "without a passphrase"),
        (large, "larger"),
        (wrong, "no private"),
    ):
        with pytest.raises(BadKey, match=said):
            SigningKey.read(file)
    with pytest.raises(BadKey, match=r"cannot be read.*keygen"):
        SigningKey.read(tmp_path / "missing.key")
    (tmp_path / "empty").mkdir()
    for path, said in (
        (shown, "another kind"),
        (private, "is a private key"),
        (wrong, "no public key"),
        (tmp_path / "empty", "nothing can be trusted"),
        (tmp_path / "missing", "cannot be read"),
    ):
        with pytest.raises(BadKey, match=said):
            TrustedKeys((public, path)).read() if path.is_file() else TrustedKeys((path,)).read()


def test_publishing_a_signed_folder_anew_drops_the_signature_of_its_former_number(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    registry = Registry(str(tmp_path / "models"))
    signed = changed(publish_tiny(tmp_path / "models", "news"), registry, key)
    again = changed(signed, registry)
    assert not (again.path / SIGNATURES).exists()
    both = changed(signed, registry, key)
    assert open_bundle(both.path, trusted).manifest.version == 4


def test_signing_refuses_a_bundle_that_is_not_intact(tmp_path: Path) -> None:
    key, _ = keys(tmp_path / "keys")
    bundle = publish_tiny(tmp_path / "models", "news")
    (bundle.path / "tokenizer.json").write_text("{}")
    with pytest.raises(MalformedBundle, match=r"tokenizer\.json"):
        Registry(str(tmp_path / "models")).sign("news", 1, key)
    assert not (bundle.path / SIGNATURES).exists()


def test_an_object_store_is_asked_for_the_signature_before_anything_is_fetched(tmp_path: Path) -> None:
    key, trusted = keys(tmp_path / "keys")
    local = publish_tiny(tmp_path / "local", "news")
    url = "memory://signatures-of-a-test"
    Registry(url).publish(local.path)
    careful = Registry(url, cache=tmp_path / "cache", trusted=trusted)
    with pytest.raises(UntrustedBundle):
        careful.open("news", 1)
    assert not (tmp_path / "cache").exists()
    # fetched by somebody who asks for no signature, signed later
    Registry(url, cache=tmp_path / "cache").open("news", 1)
    with pytest.raises(UntrustedBundle):
        careful.open("news", 1)
    Registry(url, cache=tmp_path / "elsewhere").sign("news", 1, key)
    assert (careful.open("news", 1).path / SIGNATURES).is_file()

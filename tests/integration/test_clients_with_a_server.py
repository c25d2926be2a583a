"""The typed clients with a real server."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clients import (
    AsyncInferenceClient,
    Classified,
    ClientTls,
    InferenceClient,
    InvalidRequest,
    ItemError,
    NotFound,
    Unavailable,
)
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import LABELS, publish_tiny


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    registry: Path = tmp_path_factory.mktemp("registry")
    publish_tiny(registry, "tiny")
    publish_tiny(registry, "tiny", label="canary")
    publish_tiny(registry, "pairs", pair=True)
    with running_server(InferenceSettings(registry=str(registry), port=0)) as address:
        yield address


def test_a_bad_text_is_a_value_and_its_neighbours_are_classified(target: str) -> None:
    with InferenceClient(target) as client:
        reply = client.classify(["bank rate", "", "球队赢了比赛"], model="tiny")
    first, second, third = reply.results
    assert isinstance(first, Classified)
    assert first.best.name == "business"
    assert isinstance(second, ItemError)
    assert second.details.reason == "TEXT_EMPTY"
    assert list(second.details.violations) == ["inputs[1].text"]
    assert isinstance(third, Classified)
    assert third.best.name == "sports"
    assert reply.timings.total_ms > 0


async def test_the_asyncio_client_gives_the_same_reply(target: str) -> None:
    texts = ["bank rate", "", "芯片"]
    with InferenceClient(target) as client:
        blocking = client.classify(texts, model="tiny", top_k=0)
    async with AsyncInferenceClient(target) as client_of_loop:
        reply = await client_of_loop.classify(texts, model="tiny", top_k=0)
    assert reply.results == blocking.results
    assert (reply.model, reply.version, reply.variant) == (blocking.model, blocking.version, blocking.variant)


def test_all_labels_come_best_first_and_sum_to_one(target: str) -> None:
    with InferenceClient(target) as client:
        result = client.classify(["bank"], model="tiny", top_k=0).results[0]
    assert isinstance(result, Classified)
    assert {label.name for label in result.labels} == set(LABELS)
    probabilities = [label.probability for label in result.labels]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1.0, abs=1e-5)


def test_a_version_or_a_label_chooses_the_version(target: str) -> None:
    with InferenceClient(target) as client:
        assert client.classify(["bank"], model="tiny").version == 1
        assert client.classify(["bank"], model="tiny", version=2).version == 2
        assert client.classify(["bank"], model="tiny", label="canary").version == 2
        with pytest.raises(NotFound) as caught:
            client.classify(["bank"], model="tiny", version=3)
    assert caught.value.details.reason == "MODEL_NOT_FOUND"


def test_pairs_are_tuples(target: str) -> None:
    with InferenceClient(target) as client:
        result = client.classify([("bank", "rate")], model="pairs").results[0]
    assert isinstance(result, Classified)
    assert result.best.name == "business"


def test_no_texts_are_an_invalid_request(target: str) -> None:
    with InferenceClient(target) as client, pytest.raises(InvalidRequest) as caught:
        client.classify([], model="tiny")
    assert caught.value.details.reason == "NO_INPUTS"
    assert "inputs" in caught.value.details.violations


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ClientTls:
    """A certificate for 127.0.0.1 that is its own authority, for both sides."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed: TLS was not tried")
    folder = tmp_path_factory.mktemp("tls")
    names = ["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return ClientTls(folder / "certificate.pem", folder / "certificate.pem", folder / "key.pem")


@pytest.fixture
def tls_target(tmp_path: Path, certificate: ClientTls) -> Iterator[str]:
    """A server that takes only callers with the certificate."""
    publish_tiny(tmp_path)
    settings = InferenceSettings(
        registry=str(tmp_path),
        port=0,
        tls_certificate=certificate.certificate,
        tls_key=certificate.key,
        tls_client_ca=certificate.ca,
    )
    with running_server(settings) as address:
        yield address


async def test_both_clients_speak_mutual_tls(tls_target: str, certificate: ClientTls) -> None:
    with InferenceClient(tls_target, tls=certificate) as client:
        assert client.classify(["bank"]).model == "tiny"
    async with AsyncInferenceClient(tls_target, tls=certificate) as client_of_loop:
        assert (await client_of_loop.classify(["bank"])).model == "tiny"


def test_a_caller_without_the_certificate_is_turned_away(tls_target: str, certificate: ClientTls) -> None:
    for tls in (None, ClientTls(certificate.ca)):
        with InferenceClient(tls_target, tls=tls) as client, pytest.raises(Unavailable):
            client.classify(["bank"])

"""A server process that requires signatures: what nobody trusted signed is not loaded, which only the operator notices."""

from __future__ import annotations

from pathlib import Path

from export.registry import Registry
from export.signing import SigningKey, generate
from services.clients import FailedPrecondition, InferenceClient, ModelClient
from tests.fakes.changed_bundle import changed
from tests.fakes.server_process import server_process
from tests.fakes.tiny_bundle import LABELS, publish_tiny

CHINESE = ["财经", "体育", "科技"]
TEXTS = ["the bank cut its rate", "球队赢了比赛"]


def test_a_version_without_a_trusted_signature_leaves_the_one_before_serving(tmp_path: Path) -> None:
    private, public, number = generate(tmp_path / "keys")
    stranger = SigningKey.read(generate(tmp_path / "elsewhere")[0])
    first = publish_tiny(tmp_path / "models")
    registry = Registry(first.path.parents[1].as_posix())
    registry.sign("tiny", 1, SigningKey.read(private))
    with (
        server_process(tmp_path / "models", "--registry-poll-s", "0.1", "--trusted-keys", str(public.parent)) as server,
        InferenceClient(server.address) as client,
        ModelClient(server.address) as models,
    ):
        assert server.event("signatures required")["keys"] == [number]
        assert [each.labels[0].name for each in client.classify(TEXTS).results] == [LABELS[0], LABELS[1]]

        changed(first, registry, labels=CHINESE)
        registry.set_label("tiny", "stable", 2)
        refused = server.event("bundle not trusted", lambda entry: entry["version"] == 2)
        assert "is not signed" in refused["why"]
        server.event("model not loaded")
        changed(first, registry, stranger, labels=CHINESE)
        registry.set_label("tiny", "stable", 3)
        refused = server.event("bundle not trusted", lambda entry: entry["version"] == 3)
        assert f"signed by {stranger.id}, trusted are {number}" in refused["why"]
        assert [each.labels[0].name for each in client.classify(TEXTS).results] == [LABELS[0], LABELS[1]]
        metrics = server.metrics()
        for version in (2, 3):
            assert f'bundles_untrusted_total{{model="tiny",version="{version}"}} 1.0' in metrics
        assert 'labels_behind{model="tiny"} 1.0' in metrics
        try:
            models.load("tiny", 2)
        except FailedPrecondition as error:
            assert "is not signed" in str(error)
        else:
            raise AssertionError("an unsigned version was loaded on request")

        # signed after all, and asked for: it answers
        registry.sign("tiny", 3, SigningKey.read(private))
        models.load("tiny", 3)
        assert [each.labels[0].name for each in client.classify(TEXTS).results] == CHINESE[:2]
        secret = private.read_text().splitlines()[1]
        assert secret not in "".join(server.lines)


def test_a_server_without_a_key_to_trust_does_not_start(tmp_path: Path) -> None:
    publish_tiny(tmp_path / "models")
    (tmp_path / "keys").mkdir()
    with server_process(tmp_path / "models", "--trusted-keys", str(tmp_path / "keys")) as server:
        assert server.ended() == 2
        assert "nothing can be trusted" in "".join(server.lines)

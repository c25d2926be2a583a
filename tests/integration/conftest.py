"""One real server with a tiny model of every task."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2_grpc

from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import (
    publish_tiny,
    publish_tiny_embedding,
    publish_tiny_multi_label,
    publish_tiny_pair_scoring,
    publish_tiny_regression,
    publish_tiny_tagging,
)


@pytest.fixture(scope="session")
def every_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry of the models tiny, pairs, topics (classifiers), vectors, ranker, stars and tagger."""
    folder = tmp_path_factory.mktemp("every_task")
    publish_tiny(folder, "tiny")
    publish_tiny(folder, "pairs", pair=True)
    publish_tiny_multi_label(folder)
    publish_tiny_embedding(folder)
    publish_tiny_pair_scoring(folder)
    publish_tiny_regression(folder)
    publish_tiny_tagging(folder)
    return folder


@pytest.fixture(scope="session")
def server_of_every_task(every_task: Path) -> Iterator[str]:
    """host:port of a server of them, with a response cache."""
    with running_server(InferenceSettings(registry=str(every_task), port=0, cache_bytes=1_000_000)) as target:
        yield target


@pytest.fixture(scope="session")
def tasks(server_of_every_task: str) -> Iterator[inference_pb2_grpc.InferenceServiceStub]:
    """A stub for it."""
    with grpc.insecure_channel(server_of_every_task) as channel:
        yield inference_pb2_grpc.InferenceServiceStub(channel)

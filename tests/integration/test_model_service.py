"""ModelService on a real server with real models, through the generated stubs."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from bertline.inference.v1 import inference_pb2, inference_pb2_grpc
from bertline.models.v1 import models_pb2 as pb
from bertline.models.v1 import models_pb2_grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from export.registry import Registry
from export.serving import Target
from services.inference.settings import InferenceSettings
from tests.fakes.running_server import running_server
from tests.fakes.tiny_bundle import LABELS, publish_tiny

TIMEOUT = 10.0
NOT_FOUND, INVALID = grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
LOADED, AVAILABLE, FAILED = pb.VERSION_STATE_LOADED, pb.VERSION_STATE_AVAILABLE, pb.VERSION_STATE_FAILED


@dataclass
class Served:
    """A server, its registry, and stubs."""

    registry: Registry
    folder: Path
    channel: grpc.Channel

    @property
    def models(self) -> models_pb2_grpc.ModelServiceStub:
        return models_pb2_grpc.ModelServiceStub(self.channel)

    def get(self, name: str = "tiny") -> pb.Model:
        return self.models.GetModel(pb.GetModelRequest(name=name), timeout=TIMEOUT).model

    def states(self, name: str = "tiny") -> dict[int, int]:
        return {each.version: each.state for each in self.get(name).versions}

    def version(self, key: str = "", model: str = "tiny", **selection: int | str) -> int:
        """The version that answers."""
        request = inference_pb2.ClassifyRequest(
            model=inference_pb2.ModelSelector(name=model, **selection),  # type: ignore[arg-type]
            inputs=[inference_pb2.TextInput(text="the bank cut its rate")],
            options=inference_pb2.CallOptions(routing_key=key),
        )
        reply = inference_pb2_grpc.InferenceServiceStub(self.channel).Classify(request, timeout=TIMEOUT)
        return int(reply.model.version)

    def fresh(self) -> int:
        """The version that answers for a model that was published later; 0 as long as there is none."""
        try:
            return self.version(model="fresh")
        except grpc.RpcError:
            return 0

    def mirrored(self) -> int:
        return int(self.get().shadow.compared_count)

    def until(self, what: str, wanted: object) -> None:
        """Waits for what the server does by itself."""
        for _ in range(500):
            if getattr(self, what)() == wanted:
                return
            time.sleep(0.02)
        assert getattr(self, what)() == wanted


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """tiny: 1 is stable, 2 is canary, 3 has no label, 4 is broken; other: 1 is stable."""
    publish_tiny(folder, "other")
    publish_tiny(folder)
    publish_tiny(folder, label="canary")
    publish_tiny(folder, label=None, rotated=1)
    broken = publish_tiny(folder, label=None)
    (broken.path / "fp32.onnx").write_bytes(b"x")
    settings = InferenceSettings(registry=str(folder), port=0, registry_poll_s=0.02)
    with running_server(settings) as target, grpc.insecure_channel(target) as channel:
        yield Served(Registry(str(folder)), folder, channel)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server of the test's own."""
    with serving(tmp_path / "models") as its:
        yield its


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server for tests that change nothing."""
    with serving(tmp_path_factory.mktemp("unchanged") / "models") as shared:
        yield shared


def status_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str, str]:
    """Code, reason and, where a field is to blame, its path."""
    trailing = dict(error.trailing_metadata())  # type: ignore[attr-defined]
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(trailing["grpc-status-details-bin"]).details:
        detail.Unpack(info)
        detail.Unpack(bad)
    return error.code(), info.reason, "".join(each.field for each in bad.field_violations)  # type: ignore[attr-defined]


def refused(call: object, request: object) -> tuple[grpc.StatusCode, str, str]:
    assert callable(call)
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=TIMEOUT)
    return status_of(caught.value)


def test_models_are_listed_by_name_in_pages(unchanged: Served) -> None:
    everything = unchanged.models.ListModels(pb.ListModelsRequest(), timeout=TIMEOUT)
    assert [each.name for each in everything.models] == ["other", "tiny"]
    assert everything.next_page_token == ""
    first = unchanged.models.ListModels(pb.ListModelsRequest(page_size=1), timeout=TIMEOUT)
    rest = unchanged.models.ListModels(pb.ListModelsRequest(page_token=first.next_page_token), timeout=TIMEOUT)
    assert [each.name for each in (*first.models, *rest.models)] == ["other", "tiny"]
    assert rest.next_page_token == ""
    for request, field in (
        (pb.ListModelsRequest(page_size=-1), "page_size"),
        (pb.ListModelsRequest(page_size=1001), "page_size"),
        (pb.ListModelsRequest(page_token="tiny"), "page_token"),
        (pb.ListModelsRequest(page_token="%%%"), "page_token"),
    ):
        code, _, violated = refused(unchanged.models.ListModels, request)
        assert (code, violated) == (INVALID, field)


def test_a_model_says_versions_newest_first_with_labels_and_states(unchanged: Served) -> None:
    model = unchanged.get()
    assert [each.version for each in model.versions] == [4, 3, 2, 1]
    assert [each.state for each in model.versions] == [AVAILABLE, AVAILABLE, LOADED, LOADED]
    assert [list(each.labels) for each in model.versions] == [[], [], ["canary"], ["stable"]]
    assert [each.variant for each in model.versions] == ["", "", "fp32", "fp32"]
    assert dict(model.labels) == {"stable": 1, "canary": 2}
    assert not model.traffic_split
    assert not model.HasField("shadow")


def test_a_version_says_what_its_manifest_says(unchanged: Served) -> None:
    response = unchanged.models.GetModelVersion(pb.GetModelVersionRequest(name="tiny", label="canary"), timeout=TIMEOUT)
    assert (response.name, response.status.version, response.status.state) == ("tiny", 2, LOADED)
    assert response.task == "single_label_classification"
    assert list(response.output_labels) == LABELS
    assert response.max_length_tokens == 32
    assert [each.name for each in response.variants] == ["fp32"]
    assert response.variants[0].size_bytes > 0
    assert [each.name for each in response.metric_sets] == ["checkpoint"]
    assert response.create_time.seconds > 0
    assert '"manifest' not in response.manifest_json
    assert '"tokenizer"' in response.manifest_json
    default = unchanged.models.GetModelVersion(pb.GetModelVersionRequest(name="tiny"), timeout=TIMEOUT)
    assert default.status.version == 1
    for request, code in (
        (pb.GetModelVersionRequest(name="tiny", version=9), NOT_FOUND),
        (pb.GetModelVersionRequest(name="tiny", label="beta"), NOT_FOUND),
        (pb.GetModelVersionRequest(name="tiny", version=0), INVALID),
        (pb.GetModelVersionRequest(name="tiny", label="No Label"), INVALID),
    ):
        assert refused(unchanged.models.GetModelVersion, request)[0] is code


def test_a_version_is_loaded_by_number_and_unloaded_again(served: Served) -> None:
    with pytest.raises(grpc.RpcError):
        served.version(version=3)
    for _ in range(2):
        model = served.models.LoadModelVersion(
            pb.LoadModelVersionRequest(name="tiny", version=3), timeout=TIMEOUT
        ).model
        assert {each.version: each.state for each in model.versions}[3] == LOADED
    assert served.version(version=3) == 3
    assert served.registry.serving("tiny").pinned == [3]
    for _ in range(2):
        served.models.UnloadModelVersion(pb.UnloadModelVersionRequest(name="tiny", version=3), timeout=TIMEOUT)
        with pytest.raises(grpc.RpcError):
            served.version(version=3)
    served.until("states", {1: LOADED, 2: LOADED, 3: AVAILABLE, 4: AVAILABLE})


def test_what_is_needed_is_not_unloaded(served: Served) -> None:
    served.models.SetTrafficSplit(
        pb.SetTrafficSplitRequest(name="tiny", shares=[pb.TrafficShare(version=3, percent=1)]), timeout=TIMEOUT
    )
    for version in (1, 2, 3):
        request = pb.UnloadModelVersionRequest(name="tiny", version=version)
        assert refused(served.models.UnloadModelVersion, request)[:2] == (PRECONDITION, "VERSION_IN_USE")


def test_a_label_moves_and_goes_back_again(served: Served) -> None:
    model = served.models.SetLabel(pb.SetLabelRequest(name="tiny", label="stable", version=3), timeout=TIMEOUT).model
    assert model.labels["stable"] == 3
    assert served.version() == 3
    served.until("states", {1: AVAILABLE, 2: LOADED, 3: LOADED, 4: AVAILABLE})
    model = served.models.RollBackLabel(pb.RollBackLabelRequest(name="tiny"), timeout=TIMEOUT).model
    assert model.labels["stable"] == 1
    assert served.version() == 1
    request = pb.RollBackLabelRequest(name="tiny", label="stable")
    assert refused(served.models.RollBackLabel, request)[:2] == (PRECONDITION, "NO_FORMER_VERSION")


def test_a_label_goes_and_its_version_is_unloaded_but_stable_stays(served: Served) -> None:
    served.models.DeleteLabel(pb.DeleteLabelRequest(name="tiny", label="canary"), timeout=TIMEOUT)
    served.until("states", {1: LOADED, 2: AVAILABLE, 3: AVAILABLE, 4: AVAILABLE})
    request = pb.DeleteLabelRequest(name="tiny", label="canary")
    assert refused(served.models.DeleteLabel, request)[0] is NOT_FOUND
    request = pb.DeleteLabelRequest(name="tiny", label="stable")
    assert refused(served.models.DeleteLabel, request)[:2] == (PRECONDITION, "STABLE_IS_NEEDED")


@pytest.mark.parametrize(
    ("rpc", "request_"),
    [
        ("LoadModelVersion", pb.LoadModelVersionRequest(name="tiny", version=4)),
        ("SetLabel", pb.SetLabelRequest(name="tiny", label="stable", version=4)),
        ("SetTrafficSplit", pb.SetTrafficSplitRequest(name="tiny", shares=[pb.TrafficShare(version=4, percent=9)])),
        ("SetShadow", pb.SetShadowRequest(name="tiny", version=4, percent=9)),
    ],
)
def test_a_version_that_cannot_be_loaded_changes_nothing(unchanged: Served, rpc: str, request_: object) -> None:
    before = [path.read_bytes() for path in sorted((unchanged.folder / "tiny").glob("*.json"))]
    assert refused(getattr(unchanged.models, rpc), request_)[:2] == (PRECONDITION, "MODEL_NOT_LOADABLE")
    assert [path.read_bytes() for path in sorted((unchanged.folder / "tiny").glob("*.json"))] == before
    assert unchanged.version() == 1
    assert unchanged.states()[4] == AVAILABLE


def test_a_label_that_somebody_else_points_at_a_broken_version_goes_on_answering_with_the_former(
    served: Served,
) -> None:
    served.registry.set_label("tiny", "stable", 4)
    served.until("states", {1: LOADED, 2: LOADED, 3: AVAILABLE, 4: FAILED})
    failed = served.get().versions[0]
    assert "fp32.onnx" in failed.message
    assert "version 1 goes on answering for 'stable'" in failed.message
    assert served.version() == 1
    request = pb.UnloadModelVersionRequest(name="tiny", version=1)
    assert refused(served.models.UnloadModelVersion, request)[:2] == (PRECONDITION, "VERSION_IN_USE")
    served.registry.roll_back("tiny", "stable")
    served.until("states", {1: LOADED, 2: LOADED, 3: AVAILABLE, 4: AVAILABLE})


def test_changes_on_the_command_line_reach_the_server(served: Served) -> None:
    served.registry.set_label("tiny", "stable", 3)
    served.until("version", 3)
    publish_tiny(served.folder, "fresh")
    served.until("fresh", 1)


def test_a_registry_that_is_gone_or_malformed_leaves_everything_as_it_is(served: Served) -> None:
    (served.folder / "tiny" / "labels.json").write_text("{", encoding="utf-8")
    time.sleep(0.1)
    assert served.version() == 1
    listed = served.models.ListModels(pb.ListModelsRequest(), timeout=TIMEOUT).models
    assert [(each.name, dict(each.labels)) for each in listed] == [
        ("other", {"stable": 1}),
        ("tiny", {"stable": 1, "canary": 2}),
    ]
    request = pb.SetLabelRequest(name="tiny", label="beta", version=2)
    assert refused(served.models.SetLabel, request)[:2] == (PRECONDITION, "REGISTRY_REFUSES")
    shutil.move(served.folder, served.folder.with_name("away"))
    time.sleep(0.1)
    assert served.version() == 1
    assert served.version(label="canary") == 2


def test_traffic_is_split_by_key_and_a_share_that_grows_keeps_its_keys(served: Served) -> None:
    def split(percent: int) -> dict[str, int]:
        shares = [pb.TrafficShare(label="canary", percent=percent)]
        request = pb.SetTrafficSplitRequest(name="tiny", shares=shares)
        model = served.models.SetTrafficSplit(request, timeout=TIMEOUT).model
        assert [(share.label, share.percent) for share in model.traffic_split] == [("canary", percent)]
        return {f"caller-{n}": served.version(f"caller-{n}") for n in range(300)}

    few, more = split(20), split(50)
    assert 30 < sum(version == 2 for version in few.values()) < 90
    assert 110 < sum(version == 2 for version in more.values()) < 190
    assert all(more[key] == 2 for key, version in few.items() if version == 2)
    assert {key: served.version(key) for key in list(more)[:50]} == dict(list(more.items())[:50])
    assert served.version("caller-1", label="stable") == 1
    assert set(Counter(served.version() for _ in range(100))) == {1, 2}
    served.models.SetTrafficSplit(pb.SetTrafficSplitRequest(name="tiny"), timeout=TIMEOUT)
    assert {served.version(key) for key in list(few)[:50]} == {1}


@pytest.mark.parametrize(
    ("shares", "code", "field"),
    [
        ([pb.TrafficShare(version=1, percent=0)], INVALID, "shares[0].percent"),
        ([pb.TrafficShare(version=1, percent=60), pb.TrafficShare(version=2, percent=41)], INVALID, "shares"),
        ([pb.TrafficShare(version=1, percent=1)] * 2, INVALID, "shares"),
        ([pb.TrafficShare(version=n + 1, percent=1) for n in range(11)], INVALID, "shares"),
        ([pb.TrafficShare(percent=1)], INVALID, "shares[0].target"),
        ([pb.TrafficShare(label="1", percent=1)], INVALID, "shares[0].label"),
        ([pb.TrafficShare(version=-1, percent=1)], INVALID, "shares[0].version"),
        ([pb.TrafficShare(version=9, percent=1)], NOT_FOUND, ""),
        ([pb.TrafficShare(label="beta", percent=1)], NOT_FOUND, ""),
    ],
)
def test_shares_that_cannot_be_are_refused(
    unchanged: Served, shares: list[pb.TrafficShare], code: grpc.StatusCode, field: str
) -> None:
    request = pb.SetTrafficSplitRequest(name="tiny", shares=shares)
    actual, _, violated = refused(unchanged.models.SetTrafficSplit, request)
    assert (actual, violated) == (code, field)


def test_a_shadow_is_asked_too_and_its_disagreement_counted(served: Served) -> None:
    request = pb.SetShadowRequest(name="tiny", version=3, percent=100)
    shadow = served.models.SetShadow(request, timeout=TIMEOUT).model.shadow
    assert (shadow.version, shadow.percent, shadow.compared_count) == (3, 100, 0)
    for n in range(20):
        served.version(f"caller-{n}")
    served.version(label="stable")  # those who choose are not mirrored
    served.until("mirrored", 20)
    shadow = served.get().shadow
    assert (shadow.compared_count, shadow.disagreement_count, shadow.dropped_count) == (20, 20, 0)
    assert 0.5 < shadow.mean_probability_difference <= 1.0
    request = pb.SetShadowRequest(name="tiny", label="canary", percent=100)
    assert served.models.SetShadow(request, timeout=TIMEOUT).model.shadow.compared_count == 0
    for _ in range(5):
        served.version()
    served.until("mirrored", 5)
    assert served.get().shadow.disagreement_count == 0
    assert not served.models.SetShadow(pb.SetShadowRequest(name="tiny"), timeout=TIMEOUT).model.HasField("shadow")


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (pb.SetShadowRequest(name="tiny", version=2, percent=0), INVALID),
        (pb.SetShadowRequest(name="tiny", version=2, percent=101), INVALID),
        (pb.SetShadowRequest(name="tiny", percent=1), INVALID),
        (pb.SetShadowRequest(name="tiny", label="a b", percent=1), INVALID),
        (pb.SetShadowRequest(name="tiny", version=9, percent=1), NOT_FOUND),
    ],
)
def test_shadows_that_cannot_be_are_refused(
    unchanged: Served, request_: pb.SetShadowRequest, code: grpc.StatusCode
) -> None:
    assert refused(unchanged.models.SetShadow, request_)[0] is code


REQUESTS = [
    ("GetModel", pb.GetModelRequest()),
    ("GetModelVersion", pb.GetModelVersionRequest()),
    ("LoadModelVersion", pb.LoadModelVersionRequest(version=1)),
    ("UnloadModelVersion", pb.UnloadModelVersionRequest(version=1)),
    ("SetLabel", pb.SetLabelRequest(label="stable", version=1)),
    ("DeleteLabel", pb.DeleteLabelRequest(label="canary")),
    ("RollBackLabel", pb.RollBackLabelRequest()),
    ("SetTrafficSplit", pb.SetTrafficSplitRequest()),
    ("SetShadow", pb.SetShadowRequest()),
]


@pytest.mark.parametrize(("rpc", "request_"), REQUESTS)
def test_every_rpc_refuses_names_that_are_none_and_models_that_are_not_there(
    unchanged: Served, rpc: str, request_: pb.GetModelRequest
) -> None:
    call = getattr(unchanged.models, rpc)
    for name, expected in (
        ("", (INVALID, "MALFORMED_NAME", "name")),
        ("../tiny", (INVALID, "MALFORMED_NAME", "name")),
        ("x" * 9000, (INVALID, "MALFORMED_NAME", "name")),
        ("absent", (NOT_FOUND, "MODEL_NOT_FOUND", "")),
    ):
        asked = type(request_)()
        asked.CopyFrom(request_)
        asked.name = name
        assert refused(call, asked) == expected


@pytest.mark.parametrize(
    ("rpc", "request_", "field"),
    [
        ("LoadModelVersion", pb.LoadModelVersionRequest(name="tiny"), "version"),
        ("UnloadModelVersion", pb.UnloadModelVersionRequest(name="tiny", version=-1), "version"),
        ("SetLabel", pb.SetLabelRequest(name="tiny", label="7", version=1), "label"),
        ("SetLabel", pb.SetLabelRequest(name="tiny", label="beta"), "version"),
        ("DeleteLabel", pb.DeleteLabelRequest(name="tiny"), "label"),
        ("RollBackLabel", pb.RollBackLabelRequest(name="tiny", label="!"), "label"),
    ],
)
def test_malformed_fields_are_named(unchanged: Served, rpc: str, request_: object, field: str) -> None:
    code, _, violated = refused(getattr(unchanged.models, rpc), request_)
    assert (code, violated) == (INVALID, field)


def test_the_service_is_known_to_health(unchanged: Served) -> None:
    request = health_pb2.HealthCheckRequest(service="bertline.models.v1.ModelService")
    reply = health_pb2_grpc.HealthStub(unchanged.channel).Check(request, timeout=TIMEOUT)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING


def test_a_server_that_follows_one_label_serves_nothing_else(tmp_path: Path) -> None:
    publish_tiny(tmp_path)
    publish_tiny(tmp_path, label="canary")
    publish_tiny(tmp_path, "other")
    Registry(str(tmp_path)).set_split("tiny", [(Target(label="canary"), 100)])
    settings = InferenceSettings(registry=str(tmp_path), port=0, registry_poll_s=0.02, models="tiny@stable,absent")
    with running_server(settings) as target, grpc.insecure_channel(target) as channel:
        served = Served(Registry(str(tmp_path)), tmp_path, channel)
        assert served.version() == 1
        assert [each.name for each in served.models.ListModels(pb.ListModelsRequest(), timeout=TIMEOUT).models] == [
            "tiny"
        ]
        request = pb.LoadModelVersionRequest(name="tiny", version=2)
        assert refused(served.models.LoadModelVersion, request)[:2] == (PRECONDITION, "NOT_FOLLOWED")
        assert refused(served.models.GetModel, pb.GetModelRequest(name="other"))[0] is NOT_FOUND
        served.models.SetLabel(pb.SetLabelRequest(name="tiny", label="stable", version=2), timeout=TIMEOUT)
        assert served.version() == 2
        served.until("states", {1: AVAILABLE, 2: LOADED})

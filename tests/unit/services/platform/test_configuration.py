"""Settings from a file, the environment and flags."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from services.inference.__main__ import app
from services.inference.settings import InferenceSettings
from services.platform.configuration import BadSettings, configured, flag


def written(folder: Path, text: str, name: str = "server.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "port: 1\nmetrics_port: 2\nmax_queue_s: 3.5\n")
    monkeypatch.setenv("BERTLINE_PORT", "10")
    monkeypatch.setenv("BERTLINE_METRICS_PORT", "20")
    found = configured(InferenceSettings, file, {"port": "100", "host": None})
    settings = found.settings
    assert (settings.port, settings.metrics_port, settings.max_queue_s) == (100, 20, 3.5)
    assert settings.host == "127.0.0.1"
    assert found.sources["port"] == "--port"
    assert found.sources["metrics_port"] == "BERTLINE_METRICS_PORT"
    assert found.sources["max_queue_s"] == f"{file}: max_queue_s"
    assert found.sources["host"] == "default"


def test_toml_says_the_same_as_yaml(tmp_path: Path) -> None:
    file = written(tmp_path, 'log_style = "console"\naccess_log = true\n', "server.toml")
    settings = configured(InferenceSettings, file, {}).settings
    assert (settings.log_style, settings.access_log) == ("console", True)


@pytest.mark.parametrize(
    ("text", "name", "complaint"),
    [
        ("prot: 1\n", "server.yaml", "server.yaml: unknown setting 'prot'; did you mean 'port'?"),
        ("max-queue-s: 1\n", "server.yaml", "did you mean 'max_queue_s'?"),
        ("- port\n", "server.yaml", "expected `setting: value` lines"),
        ("port: [\n", "server.yaml", "server.yaml"),
        ("port = \n", "server.toml", "server.toml"),
    ],
)
def test_a_file_that_makes_no_sense_is_named(tmp_path: Path, text: str, name: str, complaint: str) -> None:
    with pytest.raises(BadSettings) as caught:
        configured(InferenceSettings, written(tmp_path, text, name), {})
    assert complaint in str(caught.value)
    assert name in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"cannot read .*absent\.yaml"):
        configured(InferenceSettings, tmp_path / "absent.yaml", {})


def test_a_bad_value_is_traced_to_where_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "port: many\n")
    monkeypatch.setenv("BERTLINE_MAX_QUEUE_S", "-1")
    with pytest.raises(BadSettings) as caught:
        configured(InferenceSettings, file, {"device": "tpu"})
    complaint = str(caught.value)
    assert f"setting port ({file}: port)" in complaint
    assert "setting max_queue_s (BERTLINE_MAX_QUEUE_S)" in complaint
    assert "setting device (--device)" in complaint


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert configured(InferenceSettings, written(tmp_path, "# nothing yet\n"), {}).settings == InferenceSettings()


def test_what_is_printed_can_be_read_again(tmp_path: Path) -> None:
    found = configured(InferenceSettings, None, {"models": "新闻,a@b", "access_log": True, "tls_client_ca": None})
    again = configured(InferenceSettings, written(tmp_path, found.print()), {})
    assert again.settings == found.settings
    assert set(yaml.safe_load(found.print())) == set(InferenceSettings.model_fields)


def test_every_setting_is_a_flag_with_its_meaning_and_default() -> None:
    shown = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "400"}).output
    for name, field in InferenceSettings.model_fields.items():
        assert f"{flag(name)} " in shown
        assert field.description, f"{name} has no docstring"
        assert field.description.split(";")[0][:40] in shown


def test_print_config_shows_sources_and_serves_nothing(tmp_path: Path) -> None:
    file = written(tmp_path, "port: 1\n")
    result = CliRunner().invoke(app, ["--config", str(file), "--access-log", "--print-config"])
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert any(line.startswith("port: 1 ") and line.endswith(f"# {file}: port") for line in lines)
    assert any(line.startswith("access_log: true") and line.endswith("# --access-log") for line in lines)


def test_the_file_may_be_named_by_the_environment(tmp_path: Path) -> None:
    file = written(tmp_path, "port: 7\n")
    result = CliRunner().invoke(app, ["--print-config"], env={"BERTLINE_CONFIG": str(file)})
    assert "port: 7 " in result.output

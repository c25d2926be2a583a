from __future__ import annotations

import json
from pathlib import Path

import pytest

from export.failures import ExportFailure
from export.licences import licence_section, licences_of, stated_licence, weights_licence
from tests.fakes.tiny_bundle import publish_tiny


def card(folder: Path, head: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(head, encoding="utf-8")
    return str(folder)


def test_the_packaged_encoder_is_apache() -> None:
    assert weights_licence("minilm") == "Apache-2.0"


@pytest.mark.parametrize(
    ("head", "said"),
    [
        ("---\nlicense: apache-2.0\n---\n# Model\n", "Apache-2.0"),
        ("\ufeff---\nlanguage: zh\nlicense: cc-by-nc-4.0\n---\n中文模型\n", "CC-BY-NC-4.0"),
        ("---\nlicense: other\nlicense_name: tongyi-qianwen\n---\n", "tongyi-qianwen"),
        ("---\nlicense: other\n---\n", "other"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "MIT OR Apache-2.0"),
        ("---\nlicense: 木兰宽松许可证\n---\n", "木兰宽松许可证"),
        ("---\nlicense: 7\n---\n", "unknown"),
        ("---\nlanguage: en\n---\n", "unknown"),
        ("---\n- a list\n---\n", "unknown"),
        ("---\nlicense: : :\n---\n", "unknown"),
        ("---\nlicense: mit\n", "unknown"),
        ("# no head\n\nlicense: mit\n---\n---\n", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_head_of_the_model_card_says_the_licence_of_a_folder(tmp_path: Path, head: str, said: str) -> None:
    assert weights_licence(card(tmp_path, head)) == said


def test_a_folder_without_a_card_and_a_hub_id_that_was_never_fetched_are_unknown(tmp_path: Path) -> None:
    assert weights_licence(str(tmp_path)) == "unknown"
    assert weights_licence("nobody/no-such-model") == "unknown"
    assert weights_licence("../not an id!") == "unknown"


def test_a_hub_model_in_the_cache_says_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    snapshot = tmp_path / "models--google--bert" / "snapshots" / "abc"
    card(snapshot, "---\nlicense: apache-2.0\n---\n")
    (tmp_path / "models--google--bert" / "refs").mkdir()
    (tmp_path / "models--google--bert" / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert weights_licence("google/bert") == "Apache-2.0"


def test_an_encoder_that_was_pretrained_further_has_the_licence_of_its_origin(tmp_path: Path) -> None:
    origin = card(tmp_path / "origin", "---\nlicense: mit\n---\n")
    further = tmp_path / "further"
    further.mkdir()
    (further / "pretraining.json").write_text(json.dumps({"model": origin}))
    assert weights_licence(str(further)) == "MIT"
    (further / "pretraining.json").write_text(json.dumps({"model": None}))
    assert weights_licence(str(further)) == "unknown"
    # going round in a circle ends
    (further / "pretraining.json").write_text(json.dumps({"model": str(further)}))
    assert weights_licence(str(further)) == "unknown"


def test_what_a_user_states_is_one_line(tmp_path: Path) -> None:
    assert stated_licence(" cc-by-4.0 ") == "CC-BY-4.0"
    assert stated_licence("公司内部数据，不得外传") == "公司内部数据，不得外传"
    for text in ("", "  ", "two\nlines", "x" * 201, "\x1b[31mred"):
        with pytest.raises(ExportFailure, match="one line"):
            stated_licence(text)


def test_a_card_shows_both_and_nothing_in_them_is_markup(tmp_path: Path) -> None:
    manifest = publish_tiny(tmp_path).manifest
    assert licence_section(manifest) == ""
    said = licences_of("minilm", "[our](http://x) <b>数据</b>")
    section = licence_section(manifest.model_copy(update={"licences": said}))
    assert "- Weights of the encoder: Apache-2.0\n" in section
    assert r"- Training data: \[our\](http://x) \<b\>数据\</b\>" in section

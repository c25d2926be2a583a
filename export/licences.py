"""Under which licences a bundle's weights and data are, as far as anybody says so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from export.failures import ExportFailure
from export.manifest import Licences, Manifest
from training.encoders import PACKAGED, PRETRAINING_RECORD

UNKNOWN = "unknown"
"""Of weights whose origin says nothing."""
NOT_STATED = "not stated"
"""Of data, of which only whoever has it can say."""
PACKAGED_LICENCE = "Apache-2.0"
LONGEST = 200
"""Characters of a licence's name."""
CARD = "README.md"
LARGEST_CARD = 1_000_000
"""Bytes of a model card that are read."""


def stated_licence(text: str) -> str:
    """What a user says of data, as SPDX writes it where it knows it. Raises ExportFailure for what is not one line."""
    if not text.strip() or len(text) > LONGEST or not text.isprintable():
        raise ExportFailure(f"licence {text!r}: give one line of at most {LONGEST} characters, such as CC-BY-4.0")
    return _spdx(text.strip())


def licences_of(encoder: str, data: str) -> Licences:
    """`encoder`: as in a run's record; `data`: as `stated_licence` gives it."""
    return Licences(weights=weights_licence(encoder), data=data)


def weights_licence(encoder: str) -> str:
    """Of the packaged encoder as its makers say; else what the head of the model card says, in the folder or the hub's cache.

    An encoder that `python -m training pretrain` went on from another one has that one's. Nothing is downloaded.
    """
    for _ in range(10):  # pretrained from pretrained from ...
        if encoder == PACKAGED:
            return PACKAGED_LICENCE
        folder = Path(encoder)
        said = _in_card(folder / CARD if folder.is_dir() else _cached_card(encoder))
        origin = _pretrained_from(folder)
        if said is not None or origin is None:
            return said or UNKNOWN
        encoder = origin
    return UNKNOWN


def licence_section(manifest: Manifest) -> str:
    """Of a model card, in Markdown; empty where the manifest says nothing."""
    said = manifest.licences
    if said is None:
        return ""
    return f"""
## Licences

- Weights of the encoder: {_escaped(said.weights)}
- Training data: {_escaped(said.data)}
- Software that made the bundle: `sbom.json` lists it with its versions and licences (CycloneDX).
"""


def _in_card(card: Path | None) -> str | None:
    """`license` of the YAML head; what is `other` has a name beside it."""
    head = _head(card) if card is not None else None
    if head is None:
        return None
    said = head.get("license")
    if said == "other":
        said = head.get("license_name") or said
    names = [each for each in (said if isinstance(said, list) else [said]) if isinstance(each, str) and each.strip()]
    line = " OR ".join(_spdx(" ".join(name.split())) for name in names)
    return "".join(filter(str.isprintable, line))[:LONGEST] or None


def _head(card: Path) -> dict[str, Any] | None:
    import yaml

    try:
        with card.open(encoding="utf-8") as stream:
            text = stream.read(LARGEST_CARD)
        begin, head, _ = text.removeprefix("\ufeff").split("---", 2)
        content = None if begin.strip() else yaml.safe_load(head)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    return content if isinstance(content, dict) else None


def _cached_card(encoder: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(encoder, CARD)
    except (HFValidationError, OSError):
        return None
    return Path(found) if isinstance(found, str) else None


def _pretrained_from(folder: Path) -> str | None:
    try:
        origin = json.loads((folder / PRETRAINING_RECORD).read_text(encoding="utf-8")).get("model")
    except (OSError, ValueError, AttributeError):
        return None
    return origin if isinstance(origin, str) else None


def _spdx(name: str) -> str:
    """As SPDX writes it, which tells it from a name that it does not know: apache-2.0 becomes Apache-2.0."""
    from cyclonedx.spdx import fixup_id

    return fixup_id(name) or name


def _escaped(text: str) -> str:
    """In a line of Markdown."""
    return "".join(f"\\{character}" if character in "\\`*_[]<>#|" else character for character in text)

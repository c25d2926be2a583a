"""What a method adds beside an encoder's weights and cannot merge into them, in a checkpoint folder of its own files.

model.safetensors      the encoder's own weights, as without the addition
addition.json          which kind of addition, and its size
addition.safetensors   its weights, under the names that they have in the encoder
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import PreTrainedModel

from training.adapters import Bottleneck, add_adapters
from training.encoders import ADDITION
from training.prefix import Prefix, add_prefix


class Adapters(BaseModel):
    """Bottleneck adapters; see `training.adapters`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["adapters"] = "adapters"
    inner: int = Field(ge=1)
    """Values in the bottleneck."""


class PrefixKeys(BaseModel):
    """Keys and values before the text; see `training.prefix`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["prefix"] = "prefix"
    length: int = Field(ge=1)
    """Keys a layer."""


Addition = Annotated[Adapters | PrefixKeys, Field(discriminator="kind")]


def add(encoder: PreTrainedModel, addition: Addition) -> None:
    """Adds new modules to a plain encoder, in place. Raises InvalidSettings where the encoder cannot have them."""
    if isinstance(addition, Adapters):
        add_adapters(encoder, addition.inner)
    else:
        add_prefix(encoder, addition.length)
    encoder.addition = addition


def added_weights(encoder: PreTrainedModel) -> dict[str, Tensor]:
    """The weights of what was added, by their names in the encoder; empty for a plain encoder."""
    return {
        f"{place}.{name}": weight
        for place, module in encoder.named_modules()
        if isinstance(module, Bottleneck | Prefix)
        for name, weight in module.named_parameters()
    }


def save_encoder(encoder: PreTrainedModel, folder: Path) -> None:
    """Writes configuration and weights, and what was added into files of its own."""
    added = added_weights(encoder)
    own = {name: weight for name, weight in encoder.state_dict().items() if name not in added}
    encoder.save_pretrained(folder, state_dict=own)
    if added:
        save_file({name: weight.detach().contiguous() for name, weight in added.items()}, _weights(folder))
        _description(folder).write_text(encoder.addition.model_dump_json(indent=2) + "\n", encoding="utf-8")


def load_addition(encoder: PreTrainedModel, folder: Path) -> None:
    """Adds to a plain encoder what `save_encoder` kept apart, if anything."""
    if not has_addition(folder):
        return
    text = _description(folder).read_text(encoding="utf-8")
    add(encoder, TypeAdapter[Adapters | PrefixKeys](Addition).validate_json(text))
    stored = load_file(_weights(folder))
    result = encoder.load_state_dict(stored, strict=False)
    if result.unexpected_keys or set(stored) != set(added_weights(encoder)):
        raise ValueError(f"{_weights(folder)} does not hold the weights that {_description(folder).name} says")


def has_addition(folder: Path) -> bool:
    """Whether the weights in `model.safetensors` are not all of the encoder."""
    return _description(folder).is_file()


def _description(folder: Path) -> Path:
    return folder / ADDITION


def _weights(folder: Path) -> Path:
    return folder / "addition.safetensors"

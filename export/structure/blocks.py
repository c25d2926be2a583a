"""Where the parts of a transformer layer are that can be made smaller, in the encoders that are known here."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from export.failures import ExportFailure


@dataclass(frozen=True, slots=True)
class Names:
    """Where an architecture keeps its layers, and the modules in each of them."""

    layers: str
    attention: str
    """The module that counts heads, under the names `heads` and `width`."""
    heads: str
    width: str
    readers: tuple[str, str, str]
    """Query, key and value."""
    merge: str
    merge_norm: str
    grow: str
    shrink: str
    shrink_norm: str


BERT = Names(
    layers="encoder.layer",
    attention="attention.self",
    heads="num_attention_heads",
    width="all_head_size",
    readers=("attention.self.query", "attention.self.key", "attention.self.value"),
    merge="attention.output.dense",
    merge_norm="attention.output.LayerNorm",
    grow="intermediate.dense",
    shrink="output.dense",
    shrink_norm="output.LayerNorm",
)
DISTILBERT = Names(
    layers="transformer.layer",
    attention="attention",
    heads="n_heads",
    width="dim",
    readers=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
    merge="attention.out_lin",
    merge_norm="sa_layer_norm",
    grow="ffn.lin1",
    shrink="ffn.lin2",
    shrink_norm="output_layer_norm",
)
ARCHITECTURES = {
    **dict.fromkeys(("bert", "roberta", "xlm-roberta", "camembert", "electra"), BERT),
    "distilbert": DISTILBERT,
}


class Block:
    """One layer: attention heads that are read by `merge`, then neurons that are read by `shrink`."""

    def __init__(self, layer: nn.Module, names: Names) -> None:
        self._attention = layer.get_submodule(names.attention)
        self._names = names
        self._readers = [_linear(layer, name) for name in names.readers]
        self._grow = _linear(layer, names.grow)
        self.merge = _linear(layer, names.merge)
        """Its input is what the heads found, one beside the other."""
        self.merge_norm = layer.get_submodule(names.merge_norm)
        """Its input is what `merge` gives plus what the layer was given."""
        self.shrink = _linear(layer, names.shrink)
        """Its input is the neurons' activations."""
        self.shrink_norm = layer.get_submodule(names.shrink_norm)

    @property
    def heads(self) -> int:
        """How many attention heads there are."""
        return int(getattr(self._attention, self._names.heads))

    @property
    def neurons(self) -> int:
        """How many neurons there are."""
        return self.shrink.in_features

    def keep_heads(self, kept: list[int]) -> None:
        """Takes all other heads away, for real: the matrices become smaller."""
        width = self.merge.in_features // self.heads
        columns = torch.tensor([head * width + column for head in sorted(kept) for column in range(width)])
        for reader in self._readers:
            _keep_outputs(reader, columns)
        _keep_inputs(self.merge, columns)
        setattr(self._attention, self._names.heads, len(kept))
        setattr(self._attention, self._names.width, len(kept) * width)

    def keep_neurons(self, kept: list[int]) -> None:
        """Takes all other neurons away, likewise."""
        columns = torch.tensor(sorted(kept))
        _keep_outputs(self._grow, columns)
        _keep_inputs(self.shrink, columns)


def blocks_of(encoder: PreTrainedModel) -> list[Block]:
    """The layers from below. Raises ExportFailure for encoders whose parts are not known here."""
    names = names_of(encoder.config.model_type)
    return [Block(layer, names) for layer in encoder.get_submodule(names.layers).children()]


def names_of(kind: str) -> Names:
    """Those of a type of encoder. Raises ExportFailure for types that are not known here."""
    if kind not in ARCHITECTURES:
        raise ExportFailure(
            f"heads, neurons and layers of {kind} encoders cannot be taken away: leave --structures out "
            f"(it knows {', '.join(ARCHITECTURES)})"
        )
    return ARCHITECTURES[kind]


def _linear(layer: nn.Module, name: str) -> nn.Linear:
    found = layer.get_submodule(name)
    if not isinstance(found, nn.Linear):
        raise ExportFailure(f"{name} of the encoder is no plain dense layer, so nothing can be taken away from it")
    return found


def _keep_outputs(linear: nn.Linear, columns: Tensor) -> None:
    linear.weight = nn.Parameter(linear.weight.detach()[columns].clone(), requires_grad=False)
    if linear.bias is not None:
        linear.bias = nn.Parameter(linear.bias.detach()[columns].clone(), requires_grad=False)
    linear.out_features = len(columns)


def _keep_inputs(linear: nn.Linear, columns: Tensor) -> None:
    linear.weight = nn.Parameter(linear.weight.detach()[:, columns].clone(), requires_grad=False)
    linear.in_features = len(columns)

"""A masked language model whose head looks at the masked positions alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel

HEADS = ("cls", "lm_head", "generator_predictions", "vocab_transform", "predictions", "head")
"""What the models of transformers call the first layer of their head: BERT, RoBERTa, ELECTRA, DistilBERT, ALBERT, ModernBERT."""


class MaskedOnly:
    """Lets the head of a model compute the masked positions alone.

    The head is two fifths of a small model's work, and five sixths of its positions would be thrown away.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self._masked: Tensor | None = None
        found = next(
            (getattr(model, name) for name in HEADS if isinstance(getattr(model, name, None), nn.Module)), None
        )
        self._handle = found.register_forward_pre_hook(self._select) if found is not None else None

    def logits(self, model: nn.Module, inputs: Mapping[str, Tensor]) -> Tensor:
        """float32 [masked, vocabulary], row by row, of the model or of what a trainer has wrapped around it.

        `inputs`: what the model takes, and `masked`, bool [rows, length]; `labels` are left out.
        """
        self._masked = inputs["masked"]
        given = {name: value for name, value in inputs.items() if name not in {"masked", "labels"}}
        try:
            logits: Tensor = model(**given).logits
        finally:
            self._masked = None
        return (logits if self._handle is not None else logits[inputs["masked"]]).float()

    def _select(self, head: nn.Module, arguments: tuple[Tensor, ...]) -> Any:
        return arguments if self._masked is None else (arguments[0][self._masked], *arguments[1:])

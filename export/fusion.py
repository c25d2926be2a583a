"""Fuses attention, Gelu and layer normalisation into single operators (onnxruntime's transformer optimizer).

The fused attention gets the raw mask. Its default, a count of real tokens, silently assumes right padding: a mask with
holes then moves logits by 0.24 to 0.46.
"""

from __future__ import annotations

import logging
from pathlib import Path

from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions
from transformers import PretrainedConfig

FUSIBLE = {"bert", "roberta", "xlm-roberta", "distilbert", "camembert", "electra", "mpnet"}


def fuse(source: Path, target: Path, config: PretrainedConfig, separate_projections: bool = False) -> dict[str, int]:
    """Writes the fused graph; returns how many operators of each kind it holds. Unknown architectures stay as they are.

    `separate_projections`: queries, keys and values come from products of their own, beside the attention (MultiHeadAttention);
    otherwise one operator holds both (Attention).
    """
    if config.model_type not in FUSIBLE:
        target.write_bytes(source.read_bytes())
        return {}
    logging.getLogger("onnxruntime.transformers").setLevel(logging.ERROR)
    options = FusionOptions("bert")
    options.use_raw_attention_mask(True)
    options.enable_embed_layer_norm = False
    options.use_multi_head_attention = separate_projections
    # read from the graph: layers of a pruned network have different numbers of heads
    fused = optimizer.optimize_model(
        str(source), "bert", num_heads=0, hidden_size=0, optimization_options=options, opt_level=0
    )
    fused.save_model_to_file(str(target))
    return {name: count for name, count in fused.get_fused_operator_statistics().items() if count}

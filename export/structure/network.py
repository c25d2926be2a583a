"""A network that is not the run's own, as it stands to be proven: beside itself in PyTorch, and beside the run's checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.awkward_shapes import checkpoint_output, checkpoint_outputs
from export.comparisons import comparison_of
from export.hidden_tokens import HiddenTokens
from export.judgement import judge
from export.manifest import StructureProof, Variant
from export.paired_difference import drop_interval
from export.proof import CalibrationShift, ParityProof
from export.settings import Gate
from export.verification import Proven, Reference
from training.calibration import fit_binary_temperature, fit_temperature
from training.heads import Classifier
from training.run import RunRecord
from training.scope.model import ScopedClassifier


@dataclass(frozen=True, slots=True)
class Network:
    """`reference` is what it says itself in PyTorch, but for texts out of scope: those are as the run's checkpoint says."""

    name: str
    """How the names of its variants begin."""
    lacks: dict[str, str | int | float]
    model: Classifier
    scoped: ScopedClassifier | None
    temperature: float | None
    """None where the task has none."""
    reference: Reference

    @property
    def weights(self) -> int:
        """How many there are."""
        return sum(weight.numel() for weight in self.model.parameters())


def network_of(
    name: str,
    lacks: dict[str, str | int | float],
    model: Classifier,
    scoped: ScopedClassifier | None,
    logits: NDArray[np.float32],
    record: RunRecord,
    full: Reference,
    fallback: float,
) -> Network:
    """With its own temperature, fitted on the validation rows of the run; where that cannot be, with `fallback`.

    `logits` are what it says of these rows, `record` and `full` are the run's.
    """
    temperature = _temperature(record, logits, full.right, fallback)
    compared = comparison_of(record.model_copy(update={"temperature": temperature}))
    batches = {shape: batch for shape, (batch, _) in full.shapes.items()}
    answering = scoped or model
    hidden = HiddenTokens.of(batches, model.config.vocab_size, lambda batch: checkpoint_output(answering, batch))
    reference = Reference.of(
        full.rows,
        compared,
        full.right,
        full.terms,
        full.metric,
        logits,
        checkpoint_outputs(answering, batches),
        hidden,
        full.scope,
    )
    calibrated = record.task not in {"regression", "embedding"}
    return Network(name, lacks, model, scoped, temperature if calibrated else None, reference)


def _temperature(record: RunRecord, logits: NDArray[np.float32], right: Any, fallback: float) -> float:
    if record.task == "single_label_classification":
        return fit_temperature(logits, right.astype(np.int64))
    if record.task == "multi_label_classification":
        return fit_binary_temperature(logits, right.astype(np.float32))
    if record.task == "token_classification":
        return fit_temperature(logits, right.flat)
    return fallback


def beside_the_full_one(
    proven: Proven, network: Network, full: Reference, record: RunRecord, precision: str, gate: Gate
) -> Proven:
    """Of a proof against the network itself one against the run's checkpoint, judged by both.

    A float32 graph must give the network's own logits. What it may lose against the checkpoint is the budget of every
    variant, but for the agreement, which has a limit of its own.
    """
    own = proven.parity
    proof = own.model_copy(update=_beside(proven.logits, network, full, record))
    reasons = [f"beside its own network: {reason}" for reason in own.reasons] + _lost(proof, precision, gate, full)
    return replace(proven, parity=proof.model_copy(update={"passed": not reasons, "reasons": reasons}))


def _beside(logits: NDArray[np.float32], network: Network, full: Reference, record: RunRecord) -> dict[str, Any]:
    """What a parity proof says of logits of the validation rows beside the checkpoint's."""
    # of several labels a text each is decided at a probability: in the checkpoint's logits
    alike = logits * np.float32(record.temperature / (network.temperature or record.temperature))
    difference = np.abs(logits - full.logits)
    return {
        "max_logit_difference": float(difference.max()),
        "mean_logit_difference": float(difference.mean()),
        "agreement": full.comparison.agreement(alike, full.logits, full.right),
        "reference_accuracy": full.score,
        "accuracy": full.comparison.score(alike, full.right),
        "mean_difference": full.comparison.difference(alike, full.logits),
        "drop_interval": drop_interval(full.unit_scores, full.comparison.unit_scores(alike, full.right)),
        "calibration": _calibration(logits, network, full),
    }


def _calibration(logits: NDArray[np.float32], network: Network, full: Reference) -> CalibrationShift | None:
    """Each at its own temperature."""
    error = network.reference.comparison.calibration_error(logits, full.right)
    if error is None or full.calibration_error is None:
        return None
    return CalibrationShift(checkpoint=full.calibration_error, variant=error)


def promising(network: Network, full: Reference, record: RunRecord, gate: Gate) -> bool:
    """Whether the network itself is within the budget, so that variants of it are worth making."""
    figures = _beside(network.reference.logits, network, full, record)
    proof = ParityProof(
        rows=len(full.rows), flips_with_batch_mates=0.0, shapes_checked=[], passed=True, reasons=[], **figures
    )
    return not _lost(proof, "fp32", gate, full)


def own_gate(gate: Gate) -> Gate:
    """For a graph beside its own network: logits of float32 and flips count, what is lost is judged beside the checkpoint.

    The scores of its detector are those of another network than the checkpoint's.
    """
    lenient = {"min_agreement": 0.0, "min_half_agreement": 0.0, "max_drop": 100.0, "min_scope_agreement": 0.0}
    lenient |= {"strict_drop": False, "max_calibration_shift": 1.0}
    return gate.model_copy(update={**lenient, "max_mean_difference": np.inf, "max_score_difference": np.inf})


def _lost(proof: ParityProof, precision: str, gate: Gate, full: Reference) -> list[str]:
    least = gate.min_structural_agreement
    structural = gate.model_copy(
        update={
            "min_agreement": least,
            "min_half_agreement": least,
            "max_logit_difference": np.inf,
            "max_score_difference": np.inf,
            # told of beside the network itself
            "max_flips": 1.0,
            "max_leak": 1.0,
        }
    )
    return judge(proof, precision, structural, full.terms, full.metric)


def as_variant(variant: Variant, network: Network, own: ParityProof) -> Variant:
    """The manifest's entry with what it says of a network that is not the run's own."""
    return variant.model_copy(
        update={
            "name": f"{network.name}-{variant.name}",
            "temperature": network.temperature,
            "structure": StructureProof(
                name=network.name,
                lacks=network.lacks,
                weights=network.weights,
                max_logit_difference=own.max_logit_difference,
                agreement=own.agreement,
            ),
        }
    )

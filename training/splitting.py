"""Train, validation and test: stratified, deterministic, and look-alikes never straddle two of them.

The assignment depends on the texts and the seed, not on the order of the rows.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from dataclasses import replace

from training.data_settings import DataSettings
from training.dataset import Dataset, Example, Split
from training.duplicates import identity, query_identity
from training.failures import UnusableData
from training.numbers import Scale, as_text, quantile_bins
from training.tagging.decoding import bio_labels

MIN_CLASSES = 2
"""One type of entity is enough: there is always what is none."""


def split(examples: list[Example], groups: list[int], settings: DataSettings) -> Dataset:
    """Assigns each row to a split. `groups[i]` is the look-alike group of `examples[i]`.

    Rows that already have a split keep it; a validation split that the user did not give is cut from the training rows.
    Raises UnusableData when no classifier can be trained on the rows.
    """
    labels = sorted({label for example in examples for label in example.given})
    if settings.label_kind == "class" and len(labels) < MIN_CLASSES and any(example.given for example in examples):
        raise UnusableData(
            f"{settings.path}: every row has the label {labels[0]!r}; a classifier needs two labels or more"
        )
    assigned = fill_splits(examples, groups, settings)
    parts = {part: [example for example in assigned if example.split is part] for part in Split}
    _require_rows(parts, labels, settings)
    dataset = Dataset(parts[Split.TRAIN], parts[Split.VALIDATION], parts[Split.TEST], labels, fingerprint(assigned))
    finish = {"class": _as_it_is, "entities": _tagged, "number": _standardised, "relevance": _graded}
    return finish[settings.label_kind](dataset, settings)


def fill_splits(examples: list[Example], groups: list[int], settings: DataSettings) -> list[Example]:
    """The rows with a split each: the one they have, or one by the settings' fractions; parts may stay empty."""
    if all(example.split is None for example in examples):
        return _assign(examples, groups, settings.validation_fraction, settings.test_fraction, settings)
    return _complete(examples, groups, settings)


def fingerprint(examples: list[Example]) -> str:
    """SHA-256 over text, pair, label and split of every row, in order."""
    digest = hashlib.sha256()
    for example in examples:
        negative = () if example.negative is None else (example.negative,)
        for part in (example.text, example.text_pair or "", example.label, str(example.split), *negative):
            data = part.encode()
            digest.update(len(data).to_bytes(8, "little") + data)
    return digest.hexdigest()


def strata(examples: list[Example], groups: list[int], seed: int, kind: str = "class") -> dict[str, list[list[int]]]:
    """The look-alike groups, each as the positions of its rows, by their most frequent label, of several labels the rarest.

    Of numbers (`kind` is `training.data_settings.DataSettings.label_kind`) the bin counts, between quantiles of all; queries and
    their candidates are all one stratum. A hash of the texts and the seed orders the groups of a label: a new row at the top of
    the file moves nobody else.
    """
    members: dict[int, list[int]] = defaultdict(list)
    for position, group in enumerate(groups):
        members[group].append(position)
    found: dict[str, list[list[int]]] = defaultdict(list)
    own = {"class": _labels, "entities": _labels, "number": _bins, "relevance": _alike}[kind](examples)
    for rows in members.values():
        found[Counter(own[i] for i in rows).most_common(1)[0][0]].append(rows)
    for stratum in found.values():
        stratum.sort(key=lambda rows: min(_rank(examples[i], seed) for i in rows))
    return found


def _complete(examples: list[Example], groups: list[int], settings: DataSettings) -> list[Example]:
    """The user's splits, with the parts they did not give cut from rows marked train (or not marked)."""
    given = {example.split for example in examples}
    validation = 0.0 if Split.VALIDATION in given else settings.validation_fraction
    test = 0.0 if Split.TEST in given else settings.test_fraction
    free = [i for i, example in enumerate(examples) if example.split in {None, Split.TRAIN}]
    parts = iter(_assign([examples[i] for i in free], [groups[i] for i in free], validation, test, settings))
    return [next(parts) if example.split in {None, Split.TRAIN} else example for example in examples]


def _assign(
    examples: list[Example], groups: list[int], validation: float, test: float, settings: DataSettings
) -> list[Example]:
    result: dict[int, Split] = {}
    for stratum in strata(examples, groups, settings.seed, settings.label_kind).values():
        total = sum(map(len, stratum))
        wanted = {Split.TEST: _share(total, test), Split.VALIDATION: _share(total, validation)}
        for number, rows in enumerate(stratum):
            left = len(stratum) - number
            part = next(
                (part for part, room in wanted.items() if room > 0 and left > 1 and _fits(rows, room, left)),
                Split.TRAIN,
            )
            if part in wanted:
                wanted[part] -= len(rows)
            result.update(dict.fromkeys(rows, part))
    return [replace(example, split=result[position]) for position, example in enumerate(examples)]


def _labels(examples: list[Example]) -> list[str]:
    """The label that each text counts for: of several the rarest, since the others have rows enough."""
    rarity = Counter(label for example in examples for label in example.given)
    return [min(example.given, key=lambda label: (rarity[label], label), default="") for example in examples]


def _bins(examples: list[Example]) -> list[str]:
    """The same of numbers."""
    return [str(each) for each in quantile_bins([e.value for e in examples if e.value is not None])]


def _alike(examples: list[Example]) -> list[str]:
    return [""] * len(examples)


def _as_it_is(dataset: Dataset, settings: DataSettings) -> Dataset:
    return dataset


def _tagged(dataset: Dataset, settings: DataSettings) -> Dataset:
    """With the labels of words in place of the types of entities."""
    return replace(dataset, labels=bio_labels(dataset.labels))


def _graded(dataset: Dataset, settings: DataSettings) -> Dataset:
    """With targets: relevance as a share of the highest grade that there is. Raises UnusableData where nothing is ranked."""
    for name, part in dataset.parts.items():
        grades: dict[str, set[float | None]] = defaultdict(set)
        for example in part:
            grades[query_identity(example)].add(example.value)
        if not any(len(each) > 1 for each in grades.values()):
            raise UnusableData(
                f"{settings.path}: no query of the {name} split has candidates of different relevance, so no order of them is "
                "better than another; give queries several candidates, relevant (1, or a grade) and not (0)"
            )
    highest = max(example.value or 0.0 for example in dataset.examples)

    def learned(examples: list[Example]) -> list[Example]:
        return [replace(example, target=(example.value or 0.0) / highest) for example in examples]

    return dataset.changed(learned)


def _standardised(dataset: Dataset, settings: DataSettings) -> Dataset:
    """With targets: numbers in standard deviations from the mean, both of the training rows. Raises UnusableData."""
    values = [example.value for example in dataset.train if example.value is not None]
    scale = Scale.of(values)
    if scale is None:
        raise UnusableData(
            f"{settings.path}: every training row has the number {as_text(values[0])}, or nearly so; there is nothing to learn"
        )

    def learned(examples: list[Example]) -> list[Example]:
        return [replace(e, target=scale.standardised(e.value)) for e in examples if e.value is not None]

    return replace(dataset.changed(learned), scale=scale)


def _share(total: int, fraction: float) -> int:
    return max(1, round(total * fraction)) if fraction > 0 else 0


def _fits(rows: list[int], room: int, groups_left: int) -> bool:
    """Large groups go to training as long as smaller ones are left for the small splits."""
    return len(rows) <= max(1, room) or groups_left <= 2


def _rank(example: Example, seed: int) -> bytes:
    return hashlib.blake2b(f"{seed}\0{identity(example)}".encode(), digest_size=16).digest()


def _require_rows(parts: dict[Split, list[Example]], labels: list[str], settings: DataSettings) -> None:
    for part, rows in parts.items():
        if not rows:
            raise UnusableData(
                f"{settings.path}: no rows are left for the {part} split; add rows, or give the split a file"
            )
    trained = {label for example in parts[Split.TRAIN] for label in example.given}
    if missing := [label for label in labels if label not in trained]:
        raise UnusableData(f"{settings.path}: no training rows with the label {', '.join(missing)}; add rows of it")

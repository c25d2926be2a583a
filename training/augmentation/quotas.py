"""How many copies each training row gets."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from training.augmentation.settings import MOST_COPIES, AugmentationSettings


def copies_of_rows(classes: Sequence[str], settings: AugmentationSettings) -> list[int]:
    """Copies of each row, in the order of `classes`. With target balanced those of one class differ by one at most, the earlier
    rows having more."""
    if settings.target == "rows":
        return [settings.copies or 1] * len(classes)
    most = settings.copies or MOST_COPIES
    sizes = Counter(classes)
    largest = max(sizes.values(), default=0)
    seen: dict[str, int] = defaultdict(int)
    quotas = []
    for name in classes:
        whole, rest = divmod(largest - sizes[name], sizes[name])
        quotas.append(min(most, whole + (seen[name] < rest)))
        seen[name] += 1
    return quotas

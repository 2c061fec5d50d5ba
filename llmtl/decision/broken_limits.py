"""The limits of a recipe that a strategy can break. Not covered: who breaks which (`eligibility`)."""

from dataclasses import dataclass
from enum import StrEnum


class Constraint(StrEnum):
    """A limit of the recipe's `decision` section that a strategy can break."""

    USD_PER_1K = "max_usd_per_1k"
    P95_MS = "max_p95_ms"
    MEMORY_GIB = "max_memory_gib"
    VRAM_GIB = "max_vram_gib"
    FORGETTING = "max_forgetting"


@dataclass(frozen=True)
class Broken:
    """A constraint that a strategy breaks: the limit, and its own value or None where it was not measured."""

    constraint: Constraint
    limit: float
    value: float | None

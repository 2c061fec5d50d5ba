"""What would change the verdict or the choice, as values: more examples, volume, another margin, no constraints.

Not covered: finding it (`changes`, `settling`, `detectable`); the words for it (`llmtl.report`).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from llmtl.decision.totals import ErrorCostChange


@dataclass(frozen=True)
class BreakEven:
    """The request volume above which `cheaper_above` costs less in all than `cheaper_below`."""

    cheaper_below: str
    cheaper_above: str
    requests: float


@dataclass(frozen=True)
class MoreExamples:
    """So many more test examples would settle the verdict at 80% power if the observed differences are the true ones.

    `chance` is the chance that they do, given what was observed; None in what earlier versions wrote.
    """

    n: int
    chance: float | None = None
    kind: Literal["more_examples"] = "more_examples"


@dataclass(frozen=True)
class EnoughForMargin:
    """So many test examples in all show a true difference of one margin with 80% power."""

    n: int
    kind: Literal["enough_for_margin"] = "enough_for_margin"


@dataclass(frozen=True)
class MoreRequests:
    """Above so many requests in all another strategy is the cheaper one."""

    point: BreakEven
    kind: Literal["more_requests"] = "more_requests"


@dataclass(frozen=True)
class WiderMargin:
    """With a margin of `gap`, wider than the recipe's, dev would have chosen this strategy."""

    gap: float
    strategy: str
    kind: Literal["wider_margin"] = "wider_margin"


@dataclass(frozen=True)
class Unconstrained:
    """Without the constraints this strategy, which scored best on dev of those they bar, could be chosen."""

    strategy: str
    kind: Literal["unconstrained"] = "unconstrained"


@dataclass(frozen=True)
class NarrowerMargin:
    """With a margin of `gap`, narrower than the recipe's, dev would not have chosen this strategy."""

    gap: float
    strategy: str
    kind: Literal["narrower_margin"] = "narrower_margin"


Change = Annotated[
    MoreExamples | EnoughForMargin | MoreRequests | WiderMargin | Unconstrained | NarrowerMargin | ErrorCostChange,
    Field(discriminator="kind"),
]
"""What would change the verdict or the choice."""

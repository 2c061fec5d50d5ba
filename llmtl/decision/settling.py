"""How many further test examples would settle an open result, with what chance, and how many a margin takes.

Not covered: the arithmetic (`llmtl.metrics.power`, `llmtl.metrics.predictive`), learning curves.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import Rule
from llmtl.decision.verdict import Ruling
from llmtl.metrics.paired import PairedDifference
from llmtl.metrics.power import required_examples, required_to_rule_out, scaled_examples
from llmtl.metrics.predictive import chance_by_counts, chance_by_error


@dataclass(frozen=True)
class Settling:
    """What would settle an open result; all None where nothing is open.

    `more` further test examples settle every open pair with 80% power each if the observed differences are the true
    ones; it is None where that takes more than 100,000. `chance` is the chance that so many settle it, given what was
    observed. `for_margin` test examples in all show a true difference of one margin with 80% power.
    """

    more: int | None = None
    chance: float | None = None
    for_margin: int | None = None


@dataclass(frozen=True)
class _Pair:
    """An open pair: what was measured of it, `sign` -1 where it was measured the other way round."""

    measured: PairedDifference
    sign: int
    margin: float
    alpha: float

    @property
    def difference(self) -> float:
        return self.sign * self.measured.difference


def settling_of(ruling: Ruling, evidence: Evidence) -> Settling:
    """Say what would settle the pairs that a ruling leaves open.

    A pair is settled when a is shown better than b, at alpha divided by the number of comparisons, or shown not better
    by more than the margin. Exact where the McNemar test was made, else a normal approximation from the standard error.
    More examples do not shrink what is stated for a single draw; they do not shrink what comes from several measured
    draws either, which we do not know apart, so with those `more` is the least number.
    """
    if ruling.rule not in (Rule.OPEN, Rule.TIED):
        return Settling()
    # a tie that is no better by more than the margin would only be repeated by more examples
    unsettled = [(a, b) for a, b in ruling.pairs if not evidence.not_worth_more(a, b)]
    pairs = [_pair(evidence, a, b) for a, b in unsettled]
    known = [pair for pair in pairs if pair is not None]
    if not known or len(known) < len(pairs):
        return Settling()
    needed = _all(_needed(pair) for pair in known)
    more = None if needed is None else max(1, needed - evidence.n)
    # pairs share a strategy, so their differences go together: the product is, if anything, too low
    chance = None if more is None else math.prod(_chance(pair, more) for pair in known)
    return Settling(more, chance, _all(_for_margin(pair) for pair in known))


def _pair(evidence: Evidence, a: str, b: str) -> _Pair | None:
    found = evidence.about(a, b)
    if found is None:
        return None
    measured = evidence.measured[evidence.comparisons.index(found)]
    sign = 1 if found.a == a else -1
    return _Pair(measured, sign, evidence.margin, evidence.alpha / len(evidence.measured))


def _all(numbers: Iterable[int | None]) -> int | None:
    """Return the largest number, None if one is None."""
    known = list(numbers)
    return None if None in known else max(number for number in known if number is not None)


def _needed(pair: _Pair) -> int | None:
    """Return the total number of examples that settle a pair whichever way takes fewer, or None."""
    measured, difference = pair.measured, pair.difference
    if measured.exact:
        shown = required_examples(difference=difference, discordance=measured.discordance, alpha=pair.alpha)
        ruled_out = required_to_rule_out(difference=difference, discordance=measured.discordance, margin=pair.margin)
    else:
        shown = _scaled(pair, difference)
        ruled_out = _scaled(pair, pair.margin - difference, one_sided=True)
    return min((needed for needed in (shown, ruled_out) if needed is not None), default=None)


def _for_margin(pair: _Pair) -> int | None:
    """Return how many examples in all show a true difference of one margin, or None."""
    measured = pair.measured
    if measured.exact:
        return required_examples(difference=pair.margin, discordance=measured.discordance, alpha=pair.alpha)
    return _scaled(pair, pair.margin)


def _scaled(pair: _Pair, distance: float, *, one_sided: bool = False) -> int | None:
    """Return how many examples settle a distance by the normal approximation, or None."""
    measured = pair.measured
    return scaled_examples(
        measured.n,
        standard_error=measured.standard_error,
        distance=distance,
        alpha=0.05 if one_sided else pair.alpha,
        one_sided=one_sided,
        lasting_error=measured.draw_error,
    )


def _chance(pair: _Pair, further: int) -> float:
    measured = pair.measured
    if measured.exact:
        won, lost = (measured.only_a, measured.only_b)[:: pair.sign]
        return chance_by_counts(won, lost, measured.n, further=further, margin=pair.margin, alpha=pair.alpha)
    return chance_by_error(
        pair.difference,
        measured.n,
        standard_error=measured.standard_error,
        further=further,
        margin=pair.margin,
        alpha=pair.alpha,
        lasting_error=measured.draw_error,
    )

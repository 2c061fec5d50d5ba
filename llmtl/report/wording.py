"""Numbers and verdicts in words: every form of the report writes them the same way.

Not covered: escaping, which belongs to each form of the report.
"""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from llmtl import numerals
from llmtl.decision.outcome import Comparison, Decision, Verdict
from llmtl.kinds.kind import Kind
from llmtl.numerals import MINUS
from llmtl.report import naming
from llmtl.report.metric_words import NAMES, between, excludes_zero, p_digits, shown_ends
from llmtl.strategy import LOOKS, Role
from llmtl.task import Metric

_EN_DASH = "\u2013"
NOTHING = _EN_DASH
UNKNOWN = "unknown"
_METRICS = {Metric.ACCURACY: "accuracy", Metric.EXACT_MATCH: "exact match", **NAMES}
_MOST_EXACT_RATE = 100_000


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def score(value: float | None) -> str:
    """Write a score with three decimals: `0.873`."""
    return f"{value:.3f}" if value is not None and _known(value) else NOTHING


def target(value: float) -> str:
    """Write a target score with two or three decimals: `0.85`, `0.875`."""
    digits = f"{value:.3f}"
    return digits[:-1] if digits.endswith("0") else digits


def interval(low: float, high: float) -> str:
    """Write the ends of an interval of scores with two decimals and an en dash between them."""
    return f"{low:.2f}{_EN_DASH}{high:.2f}" if _known(low) and _known(high) else NOTHING


def difference(value: float, decimals: int = 3) -> str:
    """Write a signed difference of scores: `+0.042`."""
    if not _known(value):
        return NOTHING
    digits = f"{abs(value):.{decimals}f}"
    if float(digits) == 0:
        return digits
    return f"{'+' if value > 0 else MINUS}{digits}"


def difference_interval(comparison: Comparison) -> str:
    """Write the ends of a difference's interval: `+0.01 to +0.07`, which stays readable with minus signs."""
    return between(*shown_ends(comparison), lambda end: difference(end, 2), open_at_zero=excludes_zero(comparison))


def usd(value: float | None) -> str:
    """Write an amount of money with at least two significant digits: `$0.0012`, `$1.20`, `$1,200`, `unknown`."""
    if value is None or not _known(value):
        return UNKNOWN
    if value == 0:
        return "$0"
    if value < 1e-6:
        return "<$0.000001"
    if value >= 1000:
        return f"${value:,.0f}"
    decimals = max(2, 1 - math.floor(math.log10(value)))
    return f"${value:.{decimals}f}"


def readable_usd(value: float | None) -> str:
    """Write an amount of money as a person reads it: `less than 1 cent`, `$1.20`, `$1,200`, `unknown`."""
    if value is None or not _known(value) or value == 0:
        return usd(value)
    if value < 0.00995:
        return "less than 1 cent"
    return f"${value:,.0f}" if value >= 99.5 else f"${value:.2f}"


def about_usd(value: float | None) -> str:
    """Write an estimated amount of money with two significant digits: `about $730`."""
    if value is None or not _known(value) or value < 0.00995:
        return readable_usd(value)
    rounded = float(f"{value:.2g}")
    return f"about ${rounded:,.0f}" if rounded >= 10 else f"about ${rounded:.2f}"


def price(value: float) -> str:
    """Write a price with all of its digits: `$0.0816`, `$0.00019`."""
    return usd_tick(value)


def usd_tick(value: float) -> str:
    """Write an amount of money at an axis, without trailing zeros: `$0.001`, `$2`."""
    if value == 0 or value >= 1000:
        return usd(value)
    digits = f"{value:.12f}".rstrip("0").rstrip(".")
    return f"${digits}"


def milliseconds(value: float | None) -> str:
    """Write a latency given in milliseconds: `0.4 ms`, `12 ms`, `1.3 s`, `unknown`."""
    if value is None or not _known(value):
        return UNKNOWN
    if value < 0.1:
        return "<0.1 ms"
    if value < 9.95:
        return f"{value:.1f} ms"
    if value < 999.5:
        return f"{value:.0f} ms"
    return duration(value / 1000)


def duration(seconds: float | None) -> str:
    """Write a length of time given in seconds: `0.4 s`, `12 s`, `3 min 20 s`, `1 h 05 min`."""
    if seconds is None or not _known(seconds):
        return NOTHING
    if seconds < 0.05:
        return "<0.1 s"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def moment(written: str) -> str:
    """Write a moment given in ISO 8601: `24 November 2026, 04:06 UTC`; what is none stays as it is."""
    try:
        at = datetime.fromisoformat(written)
    except ValueError:
        return written
    if at.tzinfo is None:
        return written
    at = at.astimezone(UTC)
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def training_time(seconds: float | None) -> str:
    """Write the time that fitting took, given in seconds, `none` where nothing was fitted, or `unknown`."""
    if seconds is None:
        return UNKNOWN
    return "none" if seconds == 0 else duration(seconds)


def memory(gib: float | None) -> str:
    """Write an amount of memory given in GiB: `0.99 GiB`, `unknown`."""
    return UNKNOWN if gib is None else f"{gib:.2f} GiB"


def p_value(value: float, alpha: float = 0.05) -> str:
    """Write a p-value: `0.012`, `<0.001`; near `alpha` with enough digits to see on which side it is."""
    if not _known(value):
        return NOTHING
    return "<0.001" if value < 0.001 else p_digits(value, alpha)


def count(value: float) -> str:
    """Write a whole number with thousands marked: `12,300`."""
    return f"{value:,.0f}" if _known(value) else NOTHING


def about(value: float) -> str:
    """Write a rough number with two significant digits: `41,000,000`."""
    return count(float(f"{value:.2g}"))


def percent(value: float) -> str:
    """Write a share as whole percent: `46%`."""
    return f"{100 * value:.0f}%" if _known(value) else NOTHING


def chance(value: float) -> str:
    """Write a probability in whole percent that never claims certainty: `92%`, `>99%`, `<1%`."""
    return ">99%" if value > 0.99 else "<1%" if value < 0.01 else percent(value)


def chance_in_words(value: float) -> str:
    """Write a probability for running text, as `chance` does: `92%`, `more than 99%`."""
    return chance(value).replace(">", "more than ").replace("<", "less than ")


def share(value: float) -> str:
    """Write a share in percent with one decimal: `8.3%`."""
    return f"{100 * value:.1f}%" if _known(value) else NOTHING


def shares(ends: tuple[float, float]) -> str:
    """Write the ends of an interval of shares with an en dash between them and one percent sign."""
    low, high = ends
    return f"{100 * low:.1f}{_EN_DASH}{100 * high:.1f}%" if _known(low) and _known(high) else NOTHING


def small_share(value: float) -> str:
    """Write a small share in percent with up to one decimal: `5%`, `1.6%`."""
    if not _known(value):
        return NOTHING
    digits = f"{100 * value:.1f}"
    return f"{digits.removesuffix('.0')}%"


def plural(number: float, noun: str) -> str:
    """Write a number with its noun: `1 example`, `96 examples`."""
    return numerals.plural(number, noun) if _known(number) else f"{NOTHING} {noun}s"


def metric_name(metric: str) -> str:
    """Name a metric in running text: `macro-F1`."""
    return _METRICS[Metric(metric)]


def metric_meaning(metric: str, kind: Kind) -> str:
    """Say in one phrase what a metric of a kind of task measures."""
    return kind.meanings[Metric(metric)]


def role_name(role: Role, *, given: bool = False) -> str:
    """Say in a word what a strategy stands for; of `given` predictions it is not known what made them."""
    return "predictions given" if given and role is Role.PROMPTING else LOOKS[role].name


def capital(text: str) -> str:
    """Put the first letter in upper case and leave the rest untouched; chrF and nDCG are written so everywhere."""
    return text if text.startswith((NAMES[Metric.CHRF], NAMES[Metric.NDCG_10])) else text[:1].upper() + text[1:]


def verdict(decision: Decision) -> str:
    """Say the verdict as a person would: `Adopt qlora`."""
    match decision.verdict:
        case Verdict.ADOPT:
            return f"Adopt {decision.winner}"
        case Verdict.TIE:
            return f"Tie: take {decision.winner}"
        case Verdict.BASELINE:
            return f"Use the baseline: {decision.winner}"
        case Verdict.INCONCLUSIVE:
            return "Too close to call"


def target_state(decision: Decision) -> str:
    """Say whether the target is met: `met`, `missed`, `not shown` or `none set`."""
    if decision.target is None:
        return "none set"
    return {True: "met", False: "missed", None: "not shown"}[decision.target_met]


def rate(requests_per_second: float) -> str:
    """Write a throughput in requests per second without its unit: `0.42`, `8.3`, `1,240`, `>100,000`."""
    if not _known(requests_per_second):
        return NOTHING
    if requests_per_second > _MOST_EXACT_RATE:
        return f">{_MOST_EXACT_RATE:,}"
    decimals = 0 if requests_per_second >= 99.5 else 1 if requests_per_second >= 0.95 else 2
    return f"{requests_per_second:,.{decimals}f}"


def probability(value: float | None) -> str:
    """Write a probability, or a difference of two, with as many decimals as matter: `0.873`, `0.000004`."""
    if value is None or not _known(value):
        return NOTHING
    if 0 < value < 0.0000005:
        return "<0.000001"
    return f"{value:.6f}" if 0 < value < 0.001 else f"{value:.3f}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "title": naming.title,
    "score": score,
    "interval": interval,
    "difference": difference,
    "difference_interval": difference_interval,
    "usd": usd,
    "about_usd": about_usd,
    "readable_usd": readable_usd,
    "milliseconds": milliseconds,
    "duration": duration,
    "training_time": training_time,
    "memory": memory,
    "p_value": p_value,
    "count": count,
    "about": about,
    "percent": percent,
    "chance": chance,
    "share": share,
    "shares": shares,
    "small_share": small_share,
    "plural": plural,
    "metric_name": metric_name,
    "role_name": role_name,
    "capital": capital,
    "rate": rate,
    "probability": probability,
}
"""The functions above that templates use, by the name they use."""

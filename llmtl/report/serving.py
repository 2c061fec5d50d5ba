"""What a live endpoint was measured to do, in words: every form of the report says it the same way.

Not covered: the tables of load and of differing answers, which each form draws itself.
"""

from dataclasses import replace

from llmtl.costs import MemberUse, PriceConfig, Pricing, StatedCost
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.config import DecisionConfig
from llmtl.measured.endpoint import Int8Check, Served
from llmtl.report import wording
from llmtl.report.constraint_words import constraints_broken

HOSTED = "hosted"
"""The device of what a provider computes."""


def usd_per_month(served: Served, prices: PriceConfig) -> float:
    """Price a month of the recipe's requests at the best rate of the live endpoint, USD: whole machines, or tokens."""
    best = max((load.requests_per_second for load in served.loads), default=0.0)
    used = MemberUse(served.strategy, 1, 1 / best if best > 0 else 0.0, None, device=served.device)
    if served.device == HOSTED:
        used = replace(used, stated=StatedCost(served.usd_per_1k_requests / 1000))
    return Pricing(prices).per_month(used) or 0.0


def costs(served: Served, prices: PriceConfig | None) -> str:
    """Write what answering costs: a month of the recipe's requests, without `prices` 1,000 requests."""
    if prices is None:
        return f"{wording.usd(served.usd_per_1k_requests)} per 1,000 requests"
    requests = wording.count(prices.requests_per_month)
    return f"{wording.readable_usd(usd_per_month(served, prices))} per month of {requests} requests"


def _by(served: Served) -> str:
    """Return what answers, and where."""
    return f"{served.engine}, asking its provider" if served.device == HOSTED else f"{served.engine} on {served.device}"


def facts(served: Served, prices: PriceConfig | None = None) -> tuple[tuple[str, str], ...]:
    """Tell what was served where, how well it agrees with what was measured, and its cost, as name and value."""
    parity = served.parity
    share, required = (f"{100 * value:.1f}%" for value in (parity.agreement, parity.required))
    return (
        ("Engine", _by(served)),
        ("Measured", wording.moment(served.measured_at)),
        (
            "Same answers",
            f"{wording.count(parity.agreed)} of {wording.count(parity.compared)} recorded test inputs ({share}, at "
            f"least {required} required)",
        ),
        *(
            [("Probabilities", f"differ by at most {wording.probability(parity.largest_difference)}")]
            if parity.compared_probabilities
            else []
        ),
        *([("Numbers", in_int8(served.int8))] if served.int8 is not None else []),
        ("Cost", f"{costs(served, prices)}{_basis_of_cost(served)}"),
    )


def in_int8(check: Int8Check) -> str:
    """Say whether the winner's encoder runs in int8, and how its answers there compare with what was measured."""
    if check.fault:
        return f"int8 was refused, and the encoder runs as it was measured: {check.fault}"
    where = "dev, test and train" if check.compared_on_train else "dev and test"
    of_all = f"{wording.count(check.agreed)} of {wording.count(check.compared)} answers on {where}"
    required = f"{100 * check.required:.1f}%"
    alone = ""
    if check.compared_on_train:
        agreed, compared = check.agreed - check.agreed_on_train, check.compared - check.compared_on_train
        alone = f"on dev and test alone {wording.count(agreed)} of {wording.count(compared)}"
    in_float = f"{check.floats} of its {check.products} matrix products in float32" if check.floats else ""
    if check.taken:
        differ = wording.probability(check.largest_difference)
        return (
            f"The encoder runs in int8{in_float and f', {in_float}'}: {of_all} are those that were measured before (at "
            f"least {required} required{alone and f'; {alone}'}), probabilities differ by at most {differ}, and test "
            f"scores {wording.score(check.score)} ({wording.score(check.score_before)} before)."
        )
    share = f"{100 * check.agreed / check.compared:.1f}%{alone and f'; {alone}'}"
    return (
        f"int8 was refused, and the encoder runs as it was measured: {in_float and f'even with {in_float} '}{of_all} "
        f"({share}) are those that were measured before, and at least {required} are required."
    )


def _basis_of_cost(served: Served) -> str:
    """Return what the cost rests on."""
    if served.paid is None:
        return " at the highest throughput"
    paid = served.paid
    return (
        f": {wording.plural(paid.requests, 'request')} to the provider cost {wording.usd(paid.usd)}, the parity check "
        "included"
    )


def drift(served: Served) -> str:
    """Tell what is wrong with a server that failed the parity check; empty for one that passed."""
    parity = served.parity
    if parity.passed:
        return ""
    accepted = " The server was let through by hand (--accept-drift)." if served.accepted_drift else ""
    return (
        f"What is served is not what was measured: at least {100 * parity.required:.1f}% of the answers must be the "
        f"same, and others may only differ where the two top labels were almost equally probable.{accepted}"
    )


def basis(served: Served, prices: PriceConfig | None = None) -> str:
    """Say what the live endpoint takes, and that no comparison of costs rests on it."""
    return (
        f"As served ({_by(served)}, {wording.moment(served.measured_at)}), {served.strategy} takes "
        f"{costs(served, prices)}{_alone(served)}. The verdict and all "
        "comparisons of costs rest on what was measured offline, for every strategy alike."
    )


def _alone(served: Served) -> str:
    """Tell the latency of one request at a time, where it was measured."""
    if served.alone is None:
        return ""
    p50, p95 = (wording.milliseconds(value) for value in (served.alone.p50_ms, served.alone.p95_ms))
    return f", {p50} at the median and {p95} at the 95th percentile"


def limit_broken(served: Served, limits: DecisionConfig) -> str:
    """Warn of limits of the recipe that the live endpoint breaks; empty where it keeps them."""
    measured = (
        (Constraint.USD_PER_1K, limits.max_usd_per_1k, served.usd_per_1k_requests),
        (Constraint.P95_MS, limits.max_p95_ms, served.alone.p95_ms if served.alone else None),
    )
    broken = [
        Broken(constraint, limit, value)
        for constraint, limit, value in measured
        if limit is not None and value is not None and value > limit
    ]
    if not broken:
        return ""
    return f"As served, {served.strategy} could not have been chosen: {constraints_broken(broken)}."

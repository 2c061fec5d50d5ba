"""What each strategy costs at the recipe's volume, which limits of the recipe it breaks, and what deciding cost.

Not covered: what costs rest on and which of that nobody stated (`price_basis`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from llmtl.costs import (
    Billing,
    CostLine,
    Crossing,
    ModelPrice,
    PriceConfig,
    Pricing,
    Running,
    Spent,
    cheapest_by_volume,
    crossings,
    read_table,
)
from llmtl.decision.broken_limits import Constraint
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import StrategyResult
from llmtl.measured.evaluation import Evaluation
from llmtl.report import forgetting_words, price_basis, wording
from llmtl.report.content import ReportContent, Skipped, SkipReason
from llmtl.report.metric_words import listed
from llmtl.strategies.table import facts_of

NO_LIMITS = "None is set: no strategy was barred for its cost, latency or memory, or for where inputs go."
NEAR = 100
"""Costs that cross further than this factor from the expected volume are neither told nor drawn."""

LEVEL = 0.01
"""Monthly costs that differ by a smaller share are told as the same."""

_UNITS = {"max_usd_per_1k": "USD", "max_p95_ms": "ms", "max_memory_gib": "GiB", "max_vram_gib": "GiB"}


@dataclass(frozen=True)
class Bill:
    """What one strategy takes and costs; tokens are means of one request, `labels` those of train and dev it uses.

    `requests_per_second` is the measured throughput, None where nothing was timed; `labels_usd` is None where labels
    have no price. `fitting_usd` is paid once: for one training, however many seeds were tried. `total_usd` has fitting,
    all requests of the horizon, and labels where they have a price. `running` is what answering costs at any volume,
    `serverless_usd` a month of it if its machines were paid by the second of use.
    """

    result: StrategyResult
    winner: bool
    prompt_tokens: float
    cached_tokens: float
    completion_tokens: float
    requests_per_second: float | None
    fitting_usd: float
    labels: int
    labels_usd: float | None
    usd_per_1k: float
    usd_per_month: float
    total_usd: float
    machines: int
    running: Running
    serverless_usd: float

    def at(self, requests_per_month: float, *, utilisation: float = 1.0) -> float:
        """Price a month of another volume, and of machines loaded so many times as much as the recipe says, USD."""
        carries = self.running.requests_per_machine
        other = None if carries is None else carries * utilisation
        return replace(self.running, requests_per_machine=other).usd_per_month(requests_per_month)

    @property
    def fresh_tokens(self) -> float:
        """Count the prompt tokens of a request that had to be computed."""
        return self.prompt_tokens - self.cached_tokens


@dataclass(frozen=True)
class Limit:
    """One limit of the recipe, the winner's value, and who breaks it with which value."""

    name: str
    value: str
    winner: str
    broken_by: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class HostedBill:
    """What a hosted model of the price table would charge for 1,000 requests with the prompts of each strategy."""

    name: str
    price: ModelPrice
    usd_per_1k: tuple[float, ...]


@dataclass(frozen=True)
class Work:
    """One kind of work that deciding took, in words: its time and its USD, or that they are not known."""

    name: str
    time: str
    usd: str


@dataclass(frozen=True)
class Money:
    """Everything about money that is shown."""

    prices: PriceConfig
    bills: tuple[Bill, ...]
    lines: tuple[CostLine, ...]
    crossings: tuple[Crossing, ...]
    facts: tuple[str, ...]
    limits: tuple[Limit, ...]
    prompted: tuple[str, ...]
    hosted: tuple[HostedBill, ...]
    spent: tuple[Work, ...]
    spent_note: str

    @property
    def volumes(self) -> tuple[float, ...]:
        """List the volumes of the table for readers without a slider."""
        return tuple(factor * self.prices.requests_per_month for factor in (0.1, 1, 10, 100))

    @property
    def log_volume(self) -> float:
        """Say where the slider of the volume stands, as a power of ten."""
        return round(math.log10(self.prices.requests_per_month), 2)

    @property
    def log_volumes(self) -> tuple[float, float]:
        """Say where that slider begins and ends: as far from the expected volume as costs that cross are told."""
        return max(0.0, self.log_volume - math.log10(NEAR)), self.log_volume + math.log10(NEAR)

    @property
    def utilisations(self) -> tuple[float, ...]:
        """List the utilisations of that table."""
        return tuple(sorted({0.3, self.prices.utilisation, 0.9}))


def money_of(content: ReportContent) -> Money | None:
    """Work out the money of a run; a strategy of unknown cost has no bill.

    None where its prices are not known, or where the costs were not: rows made elsewhere state them.
    """
    prices = content.prices
    if prices is None or content.elsewhere:
        return None
    made = (_bill(content, result, prices) for result in content.decision.strategies)
    bills = tuple(bill for bill in made if bill is not None)
    lines = tuple(_line(bill) for bill in bills)
    winner = content.decision.winner
    found = crossings(lines, winner, months=prices.months) if any(line.name == winner for line in lines) else ()
    prompted = tuple(bill for bill in bills if bill.prompt_tokens > 0)
    return Money(
        prices=prices,
        bills=bills,
        lines=lines,
        crossings=found,
        facts=_facts(content, prices, lines, found),
        limits=_limits(content),
        prompted=tuple(bill.result.name for bill in prompted),
        hosted=_hosted(prompted),
        spent=_spent(content),
        spent_note=_spent_note(content),
    )


def _spent(content: ReportContent) -> tuple[Work, ...]:
    """Return what deciding took by kind of work, the total last; what did not happen is left out."""
    spending = content.spending
    if spending is None:
        return ()
    kinds = (
        ("fitting every strategy once, search on dev included", spending.fitting),
        ("fitting finalists again for further draws and testing them", spending.training_seeds),
        ("scoring dev, and what fine-tuning forgot", spending.dev),
        ("scoring test", spending.test),
        ("learning curves: fitting and scoring on parts of train", spending.learning_curves),
        ("fitting and scoring again without labels that look wrong", spending.refits),
        *([("replies of the judge", spending.judge)] if content.judging else []),
        ("loading models, checking the data, timing single requests", spending.overhead),
    )
    happened = [(name, spent) for name, spent in kinds if spent != Spent()]
    return tuple(_work(name, spent) for name, spent in (*happened, ("in all, as far as known", spending.total)))


def _work(name: str, spent: Spent) -> Work:
    seconds = wording.UNKNOWN if spent.seconds is None else wording.duration(spent.seconds)
    return Work(name, seconds, wording.readable_usd(spent.usd))


def _spent_note(content: ReportContent) -> str:
    """Return what the sums of deciding are, and what they are not."""
    asked = content.judging is not None or any(item.device == "hosted" for item in content.evaluations)
    return (
        "Paid once for the comparison, whoever won. A strategy's bill has its own fitting, once, and nothing else of "
        "this. What is unknown is in no sum."
        + (" Waiting for a provider is added up over all requests, also those under way at once." if asked else "")
    )


def _bill(content: ReportContent, result: StrategyResult, prices: PriceConfig) -> Bill | None:
    mine = [item for item in content.evaluations if item.strategy == result.name]
    dev = next((item for item in mine if item.split == "dev"), mine[0] if mine else None)
    if dev is None or result.usd_per_1k_requests is None or result.usd_total is None:
        return None
    pricing, volume = Pricing(prices), prices.requests_per_month
    serverless = Pricing(prices.model_copy(update={"billing": Billing.SERVERLESS})).running(dev)
    fitting, running = pricing.fitting(dev), pricing.running(dev)
    if fitting is None or running is None or serverless is None:
        return None
    facts = facts_of(content.codes.get(result.name, result.name))  # None for predictions that were made elsewhere
    needs_train = facts is None or facts.learns_from_train
    labels = content.sizes.get("dev", 0) + (content.sizes.get("train", 0) if needs_train else 0)
    labels_usd = None if prices.usd_per_label is None else labels * prices.usd_per_label
    month = running.usd_per_month(volume)
    return Bill(
        result=result,
        winner=result.name == content.decision.winner,
        prompt_tokens=dev.prompt_tokens_per_request,
        cached_tokens=dev.cached_tokens_per_request,
        completion_tokens=dev.completion_tokens_per_request,
        requests_per_second=_throughput(dev),
        fitting_usd=fitting,
        labels=labels,
        labels_usd=labels_usd,
        usd_per_1k=running.usd_per_1k(volume),
        usd_per_month=month,
        total_usd=fitting + month * prices.months + (labels_usd or 0.0),
        machines=running.machines(volume),
        running=running,
        serverless_usd=serverless.usd_per_month(volume),
    )


def _throughput(dev: Evaluation) -> float | None:
    """Return requests per second of scoring dev at once; None where nobody timed it."""
    return dev.n / dev.seconds if dev.seconds else None


def _line(bill: Bill) -> CostLine:
    return CostLine(bill.result.name, bill.fitting_usd + (bill.labels_usd or 0.0), bill.running)


def _facts(
    content: ReportContent, prices: PriceConfig, lines: Sequence[CostLine], found: Sequence[Crossing]
) -> tuple[str, ...]:
    """Return the assumptions and findings, a sentence each."""
    able = {result.name for result in content.decision.strategies if result.eligible}
    eligible = [line for line in lines if line.name in able]
    return (
        *price_basis.sentences(content, prices),
        *_labels_fact(content, prices),
        *_fewer_labels(content, prices),
        *(_cheapest(eligible, prices) if eligible else ()),
        *(
            f"Above about {wording.about(item.requests_per_month)} requests per month {item.cheaper_above} costs less "
            f"than {item.cheaper_below}: {wording.about_usd(item.usd_per_month)} a month there."
            for item in found
            if near(item.requests_per_month, prices.requests_per_month)
        ),
    )


def near(volume: float, expected: float) -> bool:
    """Say whether a volume is close enough to the expected one to be worth a sentence."""
    return expected / NEAR <= volume <= expected * NEAR


def _labels_fact(content: ReportContent, prices: PriceConfig) -> list[str]:
    if prices.usd_per_label is None:
        return ["Labels are counted and not priced: set prices.usd_per_label to have them in the totals."]
    test = content.sizes.get("test", 0)
    return [
        f"A label costs {wording.usd(prices.usd_per_label)}. The {wording.count(test)} labels of test "
        f"({wording.usd(test * prices.usd_per_label)}) were needed to judge any strategy and are in no bill."
    ]


def _fewer_labels(content: ReportContent, prices: PriceConfig) -> list[str]:
    """Return with how many training labels a measured curve already was within the margin of its end."""
    if content.curves is None:
        return []
    train = content.sizes.get("train", 0)
    each = prices.usd_per_label
    return [
        f"On dev {name} was within the margin with {wording.count(size)} of the {wording.count(train)} training labels"
        + ("." if each is None else f": {wording.usd(size * each)} in place of {wording.usd(train * each)}.")
        for name, size in content.curves.enough.items()
    ]


def _cheapest(lines: Sequence[CostLine], prices: PriceConfig) -> list[str]:
    """Name the strategy that costs least of those that may be chosen, and all that cost the same to the dollar."""
    volume, months = prices.requests_per_month, prices.months
    name = cheapest_by_volume(lines, volume, months=months)
    usd = {line.name: line.usd_per_month(volume, months=months) for line in lines}
    level = [other for other, each in usd.items() if other != name and each <= usd[name] * (1 + LEVEL)]
    if level and len(level) == len(usd) - 1:
        return ["At the expected volume all that could be chosen cost practically the same."]
    told = f"At the expected volume {name} costs least of those that could be chosen"
    return [f"{told}, and {listed(level)} practically the same." if level else f"{told}."]


def _limits(content: ReportContent) -> tuple[Limit, ...]:
    config = content.limits
    if config is None:
        return ()
    results, winner = content.decision.strategies, content.decision.winner
    dev = [item for item in content.evaluations if item.split == "dev"]
    memory = {item.strategy: item.peak_memory_gib for item in dev}
    vram = {item.strategy: item.vram_gib for item in dev}
    limits = [
        _limit("max_usd_per_1k", config.max_usd_per_1k, {r.name: r.usd_per_1k_requests for r in results}, winner),
        _limit("max_p95_ms", config.max_p95_ms, {r.name: r.p95_ms for r in results}, winner),
        _limit("max_memory_gib", config.max_memory_gib, memory, winner),
        _limit("max_vram_gib", config.max_vram_gib, vram, winner),
        _forgetting(config, content),
        _private(config, content.skipped),
    ]
    return tuple(limit for limit in limits if limit is not None)


def _limit(name: str, limit: float | None, values: Mapping[str, float | None], winner: str) -> Limit | None:
    if limit is None:
        return None
    unit = _UNITS[name]
    shown = {
        strategy: wording.UNKNOWN if value is None else f"{value:.3g} {unit}" for strategy, value in values.items()
    }
    broken = tuple((strategy, shown[strategy]) for strategy, value in values.items() if value is None or value > limit)
    return Limit(name, f"{limit:g} {unit}", shown.get(winner, wording.UNKNOWN), broken)


def _forgetting(config: DecisionConfig, content: ReportContent) -> Limit | None:
    """Return the limit of what fine-tuning may make a model forget, which concerns those that tune one."""
    limit = config.max_forgetting
    if limit is None:
        return None
    rises = {item.name: item.forgetting.text.rise.value for item in content.decision.strategies if item.forgetting}
    unknown = {
        item.name
        for item in content.decision.strategies
        for each in item.broken
        if each.constraint is Constraint.FORGETTING and each.value is None
    }
    winner = content.decision.winner
    held = forgetting_words.percent(rises[winner]) if winner in rises else "tunes no language model"
    broken = [(name, forgetting_words.percent(rise)) for name, rise in rises.items() if rise > limit]
    return Limit(
        "max_forgetting",
        forgetting_words.percent(limit),
        wording.UNKNOWN if winner in unknown else held,
        (*broken, *((name, wording.UNKNOWN) for name in unknown)),
    )


def _private(config: DecisionConfig, skipped: Mapping[str, Skipped]) -> Limit | None:
    """Return the constraint, with the strategies that were not measured for it."""
    if not config.private:
        return None
    broken = tuple((name, "not measured") for name, it in skipped.items() if it.reason is SkipReason.PRIVATE)
    return Limit("private", "inputs stay here", "they stay", broken)


def _hosted(prompted: Sequence[Bill]) -> tuple[HostedBill, ...]:
    """Return llmtl's own table of hosted models, with what the same prompts would cost uncached."""
    if not prompted:
        return ()
    return tuple(
        HostedBill(
            name,
            price,
            tuple(
                (bill.prompt_tokens * price.prompt + bill.completion_tokens * price.completion) / 1000
                for bill in prompted
            ),
        )
        for name, price in read_table().models.items()
    )

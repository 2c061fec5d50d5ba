"""What each strategy costs at the recipe's volume, and which limits of the recipe it breaks.

Not covered: machines that stand idle; every request is priced by its share of a machine at full use.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from llmtl.costs import CostLine, Crossing, ModelPrice, PriceConfig, cheapest_by_volume, crossings, read_table
from llmtl.costs.config import DEFAULT_CPU, DEFAULT_GPU
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import StrategyResult
from llmtl.evaluation import Evaluation
from llmtl.report import wording
from llmtl.report.content import ReportContent

NEED_NO_TRAIN = ("zero-shot",)
"""Strategies that use no training example; they too are chosen and judged on dev and test."""


@dataclass(frozen=True)
class Bill:
    """What one strategy takes and costs; tokens are means of one request, `labels` those of train and dev it uses.

    `requests_per_second` is the measured throughput, None where nothing was timed; `labels_usd` is None where labels
    have no price. `usd_total` has training and all requests of the horizon, without labels.
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
    usd_per_month: float

    @property
    def fresh_tokens(self) -> float:
        """Return the prompt tokens of a request that had to be computed."""
        return self.prompt_tokens - self.cached_tokens


@dataclass(frozen=True)
class Limit:
    """One limit of the recipe and who breaks it, with the measured value."""

    name: str
    value: str
    broken_by: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Hosted:
    """What a hosted model of the price table would charge for 1,000 requests with the prompts of each strategy."""

    name: str
    price: ModelPrice
    usd_per_1k: tuple[float, ...]


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
    hosted: tuple[Hosted, ...]


def money_of(content: ReportContent) -> Money | None:
    """Return the money of a run, or None where its prices are not known."""
    prices = content.prices
    if prices is None:
        return None
    bills = tuple(_bill(content, result, prices) for result in content.decision.strategies)
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
    )


def _bill(content: ReportContent, result: StrategyResult, prices: PriceConfig) -> Bill:
    mine = [item for item in content.evaluations if item.strategy == result.name]
    dev = next((item for item in mine if item.split == "dev"), mine[0] if mine else None)
    labels = content.sizes.get("dev", 0) + (0 if result.name in NEED_NO_TRAIN else content.sizes.get("train", 0))
    return Bill(
        result=result,
        winner=result.name == content.decision.winner,
        prompt_tokens=dev.prompt_tokens_per_request if dev else 0.0,
        cached_tokens=dev.cached_tokens_per_request if dev else 0.0,
        completion_tokens=dev.completion_tokens_per_request if dev else 0.0,
        requests_per_second=_throughput(content, result.name, dev),
        fitting_usd=dev.train_usd if dev else 0.0,
        labels=labels,
        labels_usd=None if prices.usd_per_label is None else labels * prices.usd_per_label,
        usd_per_month=prices.requests_per_month * result.usd_per_1k_requests / 1000,
    )


def _throughput(content: ReportContent, name: str, dev: Evaluation | None) -> float | None:
    """Return requests a second: the live endpoint's best if it was served, else those of scoring dev at once."""
    served = content.served
    if served is not None and served.strategy == name and served.loads:
        return max(load.requests_per_second for load in served.loads)
    seconds = sum(prediction.seconds for prediction in dev.predictions) if dev else 0.0
    return dev.n / seconds if dev and seconds > 0 else None


def _line(bill: Bill) -> CostLine:
    return CostLine(bill.result.name, bill.fitting_usd + (bill.labels_usd or 0.0), bill.result.usd_per_1k_requests)


def _facts(
    content: ReportContent, prices: PriceConfig, lines: Sequence[CostLine], found: Sequence[Crossing]
) -> tuple[str, ...]:
    """Return the assumptions and findings, a sentence each."""
    able = {result.name for result in content.decision.strategies if result.eligible}
    eligible = [line for line in lines if line.name in able]
    volume = f"{wording.count(prices.requests_per_month)} requests a month for {prices.months:g} months."
    return (
        f"{volume} {_machines(prices)}",
        *_labels_fact(content, prices),
        *_fewer_labels(content, prices),
        *(_cheapest(eligible, prices) if eligible else ()),
        *(
            f"Above about {wording.about(item.requests_per_month)} requests a month {item.cheaper_above} costs less "
            f"than {item.cheaper_below}; there both cost {wording.usd(item.usd_per_month)} a month."
            for item in found
        ),
    )


def _machines(prices: PriceConfig) -> str:
    cpu, gpu = prices.cpu or DEFAULT_CPU, prices.gpu or DEFAULT_GPU
    named = read_table().machines
    dated = {named[name].as_of for name in (cpu, gpu) if name in named and prices.table is None}
    read = f" (list prices, read {min(dated):%d %B %Y} or later)" if dated else ""
    return (
        f"CPU machine {wording.usd(prices.usd_per_cpu_hour)} an hour, GPU machine "
        f"{wording.usd(prices.usd_per_gpu_hour)} an hour{read}."
    )


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
    name = cheapest_by_volume(lines, prices.requests_per_month, months=prices.months)
    return [f"At the expected volume {name} costs least of those that could be chosen."]


def _limits(content: ReportContent) -> tuple[Limit, ...]:
    config = content.limits
    if config is None:
        return ()
    results = content.decision.strategies
    memory = {item.strategy: item for item in content.evaluations if item.split == "dev"}
    limits = [
        _limit("max_usd_per_1k", config.max_usd_per_1k, [(r.name, r.usd_per_1k_requests) for r in results], "USD"),
        _limit("max_p95_ms", config.max_p95_ms, [(r.name, r.p95_ms) for r in results], "ms"),
        _limit(
            "max_memory_gib",
            config.max_memory_gib,
            [(name, item.peak_memory_gib) for name, item in memory.items()],
            "GiB",
        ),
        _limit(
            "max_vram_gib",
            config.max_vram_gib,
            [(name, item.peak_memory_gib) for name, item in memory.items() if item.device == "cuda"],
            "GiB",
        ),
        _private(config, results),
    ]
    return tuple(limit for limit in limits if limit is not None)


def _limit(name: str, limit: float | None, values: Sequence[tuple[str, float]], unit: str) -> Limit | None:
    if limit is None:
        return None
    broken = tuple((strategy, f"{value:.3g} {unit}") for strategy, value in values if value > limit)
    return Limit(name, f"{limit:g} {unit}", broken)


def _private(config: DecisionConfig, results: Sequence[StrategyResult]) -> Limit | None:
    if not config.private:
        return None
    broken = tuple((r.name, "sends inputs away") for r in results if "hosted model" in (r.why_not or ""))
    return Limit("private", "inputs stay here", broken)


def _hosted(prompted: Sequence[Bill]) -> tuple[Hosted, ...]:
    """Return llmtl's own table of hosted models, with what the same prompts would cost uncached."""
    if not prompted:
        return ()
    return tuple(
        Hosted(
            name,
            price,
            tuple(
                (bill.prompt_tokens * price.prompt + bill.completion_tokens * price.completion) / 1000
                for bill in prompted
            ),
        )
        for name, price in read_table().models.items()
    )

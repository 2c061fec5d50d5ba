"""What training a model from scratch would have cost beside what adapting it took, in words and as rows of a table.

Not covered: the estimate (`llmtl.costs.pre_training`).
"""

from collections.abc import Sequence

from llmtl.costs.pre_training import UTILISATION
from llmtl.decision.transferred import BeforeAndAfter
from llmtl.report import wording

COLUMNS = ("strategy", "from scratch (estimated)", "adapting (measured)")


def rows(costs: Sequence[BeforeAndAfter]) -> list[tuple[str, str, str]]:
    """Give each strategy with the estimate and with what was measured."""
    return [(each.strategy, _estimated(each), _measured(each)) for each in costs]


def basis(costs: Sequence[BeforeAndAfter]) -> str:
    """Say what the estimates rest on."""
    models = {each.model: each.from_scratch for each in costs}
    told = [
        f"{model} has {_large(each.parameters)} weights and {_large(each.tokens)} tokens ({each.tokens_from})"
        for model, each in models.items()
    ]
    first = costs[0].from_scratch
    return (
        f"What training from scratch takes is estimated: 6 operations per weight and token (Kaplan et al. 2020); "
        f"{'; '.join(told)}; one {first.gpu.upper()} does {UTILISATION:.0%} of its {first.peak_teraflops:,.0f} "
        f"teraflops at {wording.readable_usd(first.usd / first.gpu_hours)} an hour. Adapting was measured: the time of "
        "fitting in this run at the recipe's prices. Data, staff and failed attempts count in neither."
    )


def _estimated(each: BeforeAndAfter) -> str:
    found = each.from_scratch
    return f"about {_about(found.gpu_hours)} GPU-hours, {wording.about_usd(found.usd).removeprefix('about ')}"


def _measured(each: BeforeAndAfter) -> str:
    money = wording.readable_usd(each.usd)
    if each.device == "cuda":
        return f"{each.gpu_hours:.3g} GPU-hours, {money}"
    return f"no GPU: {wording.training_time(each.seconds)} on a CPU, {money}"


def _about(hours: float) -> str:
    return f"{_rounded(hours):,.0f}" if hours >= 10 else f"{hours:.2g}"


def _rounded(value: float) -> float:
    """Round to two digits, as an estimate deserves."""
    return float(f"{value:.2g}")


def _large(count: float) -> str:
    """Write 134,515,008 as `135 million`."""
    for size, name in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count:,.0f}"

"""What to read with care before a verdict is used, in sentences, the most important one first.

Not covered: finding it (`llmtl.decision.care`), the sentences on draws, cut fits and prediction files (`sentences`).
"""

from collections.abc import Sequence

from llmtl.decision.capability import AllZero, Cannot, Incapable
from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.forgotten import HarderEnglish
from llmtl.decision.label_care import FewPerLabel, LabelCare, LabelFound, MissedLabels, OtherCount
from llmtl.decision.model_care import DataDoubt, FarBehind, ModelCare, NearCopies, OtherMetric, ToyModel
from llmtl.decision.one_draw import OneDraw, UnknownDraws
from llmtl.decision.outcome import Caution, Decision, Failures, Halved, NoBaseline, NoCost, NoLatency, TooSmallTest
from llmtl.decision.strange_answers import StrangeAnswers
from llmtl.decision.unclear_costs import UnclearCost
from llmtl.report import wording
from llmtl.report.metric_words import Words, listed
from llmtl.report.wording import plural
from llmtl.task import Metric

MOST_IN_TERMINAL = 3
BUSY = 0.05
"""A share of the time that a machine with nothing else to do hardly loses."""
MOST_NAMED = 3
"""Labels that a sentence names; of more it says how many."""
_ORDER: tuple[type, ...] = (
    AllZero,
    Incapable,
    StrangeAnswers,
    ToyModel,
    MissedLabels,
    NearCopies,
    NoBaseline,
    TooSmallTest,
    CutRival,
    FarBehind,
    OtherMetric,
    DataDoubt,
    OtherCount,
    Halved,
    OneDraw,
    UnknownDraws,
    FewPerLabel,
    HarderEnglish,
    UnclearCost,
    NoCost,
    NoLatency,
)
"""From what makes a verdict worthless to what makes it rough; failures stand by their share."""


def by_importance(cautions: Sequence[Caution], winner: str) -> list[Caution]:
    """Sort what to read with care: what concerns the winner, or makes a verdict worthless, comes first.

    That a strategy failed often is left out where the same is told of all strategies of its model.
    """
    told = {
        name
        for item in cautions
        if isinstance(item, Incapable) and item.why is Cannot.FAILS
        for name in item.strategies
    }
    left = (item for item in cautions if not (isinstance(item, Failures) and item.strategy in told))
    return sorted(left, key=lambda item: _rank(item, winner))


def in_terminal(lines: Sequence[str]) -> list[str]:
    """Take the most important lines for a terminal, and say how many more the report has."""
    further = len(lines) - MOST_IN_TERMINAL
    return [*lines[:MOST_IN_TERMINAL], *([f"{further} more in the report."] if further > 0 else [])]


def _rank(item: Caution, winner: str) -> float:
    if isinstance(item, Failures):
        beside: type = Incapable if item.many else MissedLabels if item.strategy == winner else OneDraw
        return _ORDER.index(beside) + 0.5
    return _ORDER.index(type(item))


def unclear_cost(item: UnclearCost) -> str:
    """Say why it is not known which of two strategies costs less."""
    busy = (
        f"other programs may have taken up to {item.load:.0%} of the time"
        if item.load >= BUSY
        else ("their timings differ too much from part to part")
    )
    return (
        f"Which of {item.strategy} and {item.rival} costs less is not known: {busy}. Run it where nothing else runs to "
        "tell them apart."
    )


def sentence(item: LabelCare | ModelCare | Failures, decision: Decision) -> str:
    """Say one thing to read with care."""
    match item:
        case Failures():
            return failures(item)
        case MissedLabels():
            return _missed(item)
        case FewPerLabel():
            return _few(item)
        case OtherCount():
            return (
                f"{item.strategy} gives {item.given:.1f} labels per input, and {item.expected:.1f} are right: its "
                "threshold, or the wording of its prompt, does not suit these data."
            )
        case DataDoubt():
            return item.message
        case ToyModel() | FarBehind() | NearCopies() | OtherMetric():
            return _of_models(item, Words(Metric(decision.metric)))


def failures(item: Failures) -> str:
    """Say how often a strategy failed and, of many failures, what follows from them."""
    told = f"{item.strategy} failed on {item.failed} of {item.n} test examples"
    if not item.many:
        return f"{told}; failures count as errors."
    return (
        f"{told}: what could not be read, or did not fit, counts as wrong, so its score says little of what its model "
        "can do. Look at the failed answers first."
    )


def _of_models(item: ToyModel | FarBehind | NearCopies | OtherMetric, words: Words) -> str:
    match item:
        case ToyModel(model, strategies, wins):
            told = "the recommended strategy runs on it, so this" if wins else f"what {listed(list(strategies))} scored"
            return (
                f"{model} is a toy that comes with llmtl to try it with: {told} says nothing of what language "
                "models can do. Run with --model smollm2 or a larger one before acting on it."
            )
        case FarBehind(_, strategy, score, rival, rival_score):
            return (
                f"Prompting {_short(item.model)} as it is reaches {words.plain(score)} at best ({strategy}), "
                f"{words.gap(rival_score - score)} less than {rival}: that says little of larger models, or of "
                "ones tuned to follow instructions, which were not measured."
            )
        case NearCopies():
            return _copies(item, words)
        case OtherMetric(metric, winner, winner_score, strategy, score):
            other = Words(Metric(metric))
            return (
                f"The metric matters: by {wording.metric_name(metric)}, {strategy} leads with {other.plain(score)} "
                f"against {other.plain(winner_score)} for {winner}. Set task.metric={metric} if that is what counts."
            )


def _copies(item: NearCopies, words: Words) -> str:
    near = "nearly equal one that was learned from"
    score, inputs = words.plain(item.score), plural(item.n, "test input")
    if item.without is None:
        return f"All {inputs} {near}: the {score} of {item.strategy} may not hold for new inputs."
    without = f"without them {item.strategy} reaches {words.plain(item.without)} and not {score}"
    return f"{item.copies} of {inputs} {near}; {without}."


def _missed(item: MissedLabels) -> str:
    """Say which labels are never given, and which are found less than half of the time."""
    parts = []
    if item.never:
        parts.append(f"never answers {_named(item.never, item.labels)}")
    if item.rarely:
        parts.append(f"finds less than half of {_named(item.rarely, item.labels)}")
    return f"{item.strategy} {', and '.join(parts)}."


def _named(found: Sequence[LabelFound], labels: int) -> str:
    """Name the worst labels with what was found of them: `'repairs' (0 of 12)`."""
    named = [f"'{each.label}' ({each.right} of {each.expected})" for each in found[:MOST_NAMED]]
    if len(found) <= MOST_NAMED:
        return listed(named)
    return f"{len(found)} of {labels} labels, such as {listed(named)}"


def _few(item: FewPerLabel) -> str:
    label, count = item.tested[0]
    many = len(item.tested)
    which = f"'{label}' has" if many == 1 else f"{many} of {item.labels} labels have"
    worst = "" if many == 1 else f", '{label}' {count}"
    number = f"only {plural(count, 'test example')}" if many == 1 else f"fewer than {item.least} test examples{worst}"
    return f"{which} {number}: what is said of {'it' if many == 1 else 'each of them alone'} is rough."


def _short(model: str) -> str:
    return model.rstrip("/\\").replace("\\", "/").rsplit("/", 1)[-1]

"""A decision in plain sentences, written from its codes and values.

Not covered: the reason itself (`rules`), what a judge says (`judging`), doubtful labels (`noise`), tables and figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from llmtl.decision.capability import AllZero, Incapable
from llmtl.decision.cut_rivals import CutRival
from llmtl.decision.detectable import detectable_before
from llmtl.decision.forgotten import HarderEnglish
from llmtl.decision.label_care import FewPerLabel, MissedLabels, OtherCount
from llmtl.decision.model_care import DataDoubt, FarBehind, NearCopies, OtherMetric, ToyModel
from llmtl.decision.one_draw import OneDraw, UnknownDraws
from llmtl.decision.outcome import (
    Caution,
    Decision,
    Dropped,
    Failures,
    Halved,
    NoBaseline,
    NoCost,
    NoLatency,
    Purpose,
    StrategyResult,
    TestScore,
    TooSmallTest,
)
from llmtl.decision.outlook import (
    Change,
    EnoughForMargin,
    MoreExamples,
    MoreRequests,
    NarrowerMargin,
    Unconstrained,
    WiderMargin,
)
from llmtl.decision.sensitivity import NoiseSensitivity
from llmtl.decision.strange_answers import StrangeAnswers
from llmtl.decision.totals import ErrorCostChange
from llmtl.decision.unclear_costs import UnclearCost
from llmtl.errors import RunError
from llmtl.judging.result import Judging
from llmtl.report import care_words, claims, cut_words, draw_words, promises, share_words, transfer_words, wording
from llmtl.report import judging as judge_words
from llmtl.report import noise as noise_words
from llmtl.report.constraint_words import constraints_broken
from llmtl.report.forgetting_words import harder_english
from llmtl.report.metric_words import Words, usd
from llmtl.report.rules import Case, reason, settles
from llmtl.report.total_words import chosen_by_total, error_cost_change
from llmtl.task import RIGHT_OR_WRONG, Metric


@dataclass(frozen=True)
class Summary:
    """A decision in sentences.

    `reason` says why the verdict is what it is, `reasons` are the further ones; `why_not` says by strategy why it could
    not be chosen. `opening` is the part at the beginning of `reason` that only repeats the verdict, often empty.
    `key_reasons` are those of `reasons` that matter most to who decides.
    """

    reason: str
    reasons: tuple[str, ...] = ()
    would_change: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    target_note: str | None = None
    why_not: Mapping[str, str] = field(default_factory=dict)
    opening: str = ""
    key_reasons: tuple[str, ...] = field(default=(), compare=False)

    @property
    def below_verdict(self) -> str:
        """Return the reason for places where the verdict stands above it."""
        return wording.capital(self.reason[len(self.opening) :]) if self.opening else self.reason


def summarize(decision: Decision, *, noise: NoiseSensitivity | None = None, judging: Judging | None = None) -> Summary:
    """Return the sentences on a decision; where doubtful labels decided it or a judge contradicts it, warnings say so.

    Raises `RunError` for a decision that was read from a file of version 1, which kept its sentences and not its rule.
    """
    if decision.rule is None:
        raise RunError("This decision was written by an earlier version of llmtl; read its sentences from the file.")
    case = Case.of(decision)
    opening, rest = reason(case, decision.rule)
    rest += cut_words.open_question(decision)
    return Summary(
        reason=f"{opening}{rest}",
        reasons=tuple(line for line in _reasons(case) if line not in rest),
        would_change=tuple(_change(case, item) for item in decision.changes),
        warnings=(
            # the reason may begin a warning's words in the middle of a sentence
            *(
                told
                for item in care_words.by_importance(decision.cautions, decision.winner)
                if (told := _caution(case, item))[1:] not in rest
            ),
            *([noise_words.consequence(noise, decision)] if noise and noise.changed else []),
            *(judge_words.warnings(judging, decision) if judging else ()),
        ),
        target_note=_target_note(case),
        why_not={item.name: why_not(decision, item) for item in decision.strategies if not item.eligible},
        opening=opening,
        key_reasons=_key(case),
    )


def told_before(n: int, *, metric: Metric, alpha: float) -> str:
    """Return what n test examples can show, as a sentence to read before anything is measured."""
    found = detectable_before(n, alpha=alpha)
    if found >= 1:
        return f"Test has only {wording.plural(n, 'example')}: it cannot show any difference."
    rough = "" if metric in RIGHT_OR_WRONG else ", roughly (as if of accuracy)"
    return f"{n:,} test examples show a true difference of {Words(metric).gap(found)} four times in five{rough}."


def purpose(code: Purpose, chosen: str) -> str:
    """Say why a comparison is made, in a few words; `chosen` is the strategy chosen on dev."""
    return {
        Purpose.BEST_BASELINE: "the choice against the best baseline",
        Purpose.ZERO_SHOT: "the choice against zero-shot",
        Purpose.RUNNER_UP: "the choice against the runner-up on dev",
        Purpose.SIMPLER_RIVAL: "the choice against the best on dev of those that tune less, or nothing",
        Purpose.LLM_AGAINST_CHOICE: "the best strategy with a pre-trained model against the choice",
        Purpose.CHEAPER_RIVAL: f"a cheaper rival of {chosen} against the best baseline",
        Purpose.LLM_AGAINST_BASELINE: "the best strategy with a pre-trained model on dev against the best baseline",
    }[code]


def why_not(decision: Decision, result: StrategyResult) -> str:
    """Say why a strategy could not be chosen."""
    left = next((item for item in decision.choice.dropped if item.strategy == result.name), None)
    if left is not None and result.test is None:
        return _why_dropped(left, Words(Metric(decision.metric)))
    if not result.broken and result.name in share_words.unable(decision):
        return "its predictions do not say how sure they are, so nothing can be left to it"
    return constraints_broken(result.broken)


def _why_dropped(drop: Dropped, words: Words) -> str:
    before = (
        f" (before, to find its prompt, {wording.plural(drop.tried, 'prompt')} had been scored on "
        f"{wording.plural(drop.searched, 'dev example')})"
        if drop.tried
        else ""
    )
    return (
        f"left the race after {drop.n_seen:,} of {drop.n:,} dev examples, which show that it would not be chosen: "
        f"{words.plain(drop.score)} against {words.plain(drop.against_score)} for {drop.against} on those{before}"
    )


def _reasons(case: Case) -> tuple[str, ...]:
    """Return the further reasons: the choice, every comparison, target and cost."""
    decision, choice, words = case.decision, case.decision.choice, case.words
    lines = [_chosen(case), *_flattery(case)]
    if share_words.by_share(decision):
        purposes = {code: purpose(code, choice.strategy) for code in Purpose}
        lines += share_words.comparisons(decision, purposes)
    lines += [
        f"On test, {case.against(item.a, item.b)}: {purpose(item.purpose, choice.strategy)}."
        for item in decision.comparisons
    ]
    note = _target_note(case)
    if note:
        lines.append(f"The target is {note}.")
    lines += _cost(decision)
    lines += promises.sentences(decision)
    lines += [f"{name} could not be chosen: {constraints_broken(broken)}." for name, broken in choice.barred.items()]
    lines += [told for told in [share_words.why_unable(decision)] if told]
    lines += [f"{drop.strategy}: {_why_dropped(drop, words)}." for drop in choice.dropped]
    return tuple(lines)


def _key(case: Case) -> tuple[str, ...]:
    """Return the reasons that matter most: target, what can be left to it, costs, the comparisons of the choice."""
    decision = case.decision
    note = _target_note(case)
    compared = [
        f"On test, {case.against(item.a, item.b)}: {purpose(item.purpose, decision.choice.strategy)}."
        for item in sorted(decision.comparisons, key=lambda item: item.purpose is not Purpose.RUNNER_UP)
        if item.purpose is not Purpose.BEST_BASELINE
    ]
    return (
        *([f"The target is {note}."] if note else []),
        *compared[:1],
        *promises.sentences(decision),
        *_cost(decision),
    )


def _chosen(case: Case) -> str:
    choice, words = case.decision.choice, case.words
    if share_words.by_share(case.decision):
        return share_words.chosen_by_share(case.decision)
    if choice.expected_totals is not None:
        return chosen_by_total(case.decision, choice.expected_totals)
    if len(choice.expected_regret) == 1:
        return f"Before test was opened, dev chose {choice.strategy}, the only strategy that could be chosen."
    if choice.expected_regret:
        least = words.about(choice.expected_regret[choice.strategy])
        return (
            f"Before test was opened, dev chose {choice.strategy}, of {len(choice.expected_regret)} strategies the one "
            f"that is expected to forgo least: {least}, where a strategy forgoes what its score falls short of the "
            f"best one's, and {words.gap(choice.margin)} if a cheaper one is nearly as good."
        )
    number = len(choice.within_margin)
    how = "the only strategy" if number == 1 else f"the cheapest of {number} strategies"
    best = words.plain(case.decision.dev_score(choice.best_on_dev))
    return (
        f"Before test was opened, dev chose {choice.strategy}: {how} within {words.gap(choice.margin)} of the best "
        f"score, {best} by {choice.best_on_dev}."
    )


def _flattery(case: Case) -> list[str]:
    """Return the sentences on what the dev score and the interval of the choice leave out or take in."""
    decision, choice, words = case.decision, case.decision.choice, case.words
    lines = []
    chosen, searched = (max(0.0, part or 0.0) for part in (choice.optimism, choice.search_optimism))
    if chosen + searched > 0:
        score = words.plain(decision.dev_score(choice.strategy))
        both = f": {words.about(searched)} its own search there, {words.about(chosen)} the choice among strategies"
        lines.append(
            f"Being chosen on dev flatters the dev score of {choice.strategy}, {score}, by "
            f"{words.about(chosen + searched)}{both if chosen and searched else ''} "
            f"({'the search' if searched else 'the choice'} repeated on resamples of dev); test is free of that."
        )
    lines += [draw_words.repeated(item) for item in decision.strategies if item.test and item.test.seeds > 1]
    lines += cut_words.sentences(decision)
    lines += [transfer_words.sentence(item, words) for item in decision.transfer]
    if decision.grouped:
        lines.append("Test examples come in groups; intervals and tests resample whole groups.")
    return lines


def _target_note(case: Case) -> str | None:
    """Return which of met, missed or not shown the target is, and why."""
    target, words = case.decision.target, case.words
    if target is None:
        return None
    score: TestScore | None = case.decision.result(case.decision.winner).test
    if score is None:
        return f"not shown: the winner has no score on test to compare with {words.plain(target)}"
    low, high = score.ci95
    interval = f"95% interval {words.plain(low)} to {words.plain(high)}"
    if low >= target:
        return f"met: the whole interval is at or above {words.plain(target)} ({interval})"
    if score.value >= target:
        return (
            f"not shown: {words.plain(score.value)} is at or above {words.plain(target)}, but the interval reaches "
            f"below it ({interval})"
        )
    beyond = "even the interval ends below it" if high < target else "the interval still reaches it"
    return f"missed: {words.plain(score.value)} is below {words.plain(target)}, {beyond} ({interval})"


def _cost(decision: Decision) -> list[str]:
    """Return the sentence on what the winner costs, where anybody knows that."""
    winner = decision.result(decision.winner)
    if winner.usd_per_1k_requests is None:
        return []
    if winner.usd_per_month is None:
        each = f"{winner.name} costs {usd(winner.usd_per_1k_requests)} USD per 1,000 requests"
    else:
        on = f" ({wording.plural(winner.machines, 'machine')}, paid for all hours)" if winner.machines else ""
        each = f"{winner.name} costs {wording.usd(winner.usd_per_month)} per month{on}"
    if winner.usd_total is None:
        return [f"{each}; what training it costs is not known and counts as nothing."]
    if not any(item.usd_per_1k_requests or item.usd_total for item in decision.strategies):
        return []
    total = wording.usd(winner.usd_total)
    return [f"{each}; {decision.requests or 0:,.0f} requests cost {total}, training included."]


def _change(case: Case, item: Change) -> str:
    words = case.words
    match item:
        case MoreExamples(n, chance):
            further = wording.plural(n, "more labelled test example")
            return (
                f"If the differences observed are the true ones, about {further} would settle it four times in five"
                f"{'' if chance is None else '; ' + settles(chance)}."
            )
        case EnoughForMargin(n):
            return (
                f"A true difference of one margin, {words.gap(case.decision.choice.margin)}, is shown four times in "
                f"five by about {wording.plural(n, 'test example')} in all; test has {case.evidence.n:,}."
            )
        case MoreRequests() | ErrorCostChange():
            return _other_cost(case, item)
        case WiderMargin(gap, strategy):
            return f"With a margin of {share_words.gaps_of(case.decision).gap(gap)}, dev would have chosen {strategy}."
        case Unconstrained(strategy):
            return (
                f"{strategy} {'would be left most' if share_words.by_share(case.decision) else 'scored best'} on dev "
                "among those the constraints exclude; without them it could be chosen."
            )
        case NarrowerMargin(gap, strategy):
            return (
                f"With a margin of {share_words.gaps_of(case.decision).gap(gap)}, dev would not have chosen {strategy}."
            )


def _other_cost(case: Case, item: MoreRequests | ErrorCostChange) -> str:
    if isinstance(item, ErrorCostChange):
        return error_cost_change(item)
    point = item.point
    return (
        f"Above {point.requests:,.0f} requests in all, {point.cheaper_above} is cheaper than "
        f"{point.cheaper_below}; {case.decision.requests or 0:,.0f} are expected."
    )


def _caution(case: Case, item: Caution) -> str:
    match item:
        case NoBaseline():
            return (
                "No baseline is among them, so whether a pre-trained model is needed at all is not known; add one, say "
                f"{case.usual_baseline}."
            )
        case TooSmallTest(n, detectable) if detectable >= 1:
            return f"Test has only {wording.plural(n, 'example')}: no difference can be shown."
        case TooSmallTest(n):
            return f"Test has only {wording.plural(n, 'example')}: most true differences go unseen."
        case (
            Failures()
            | MissedLabels()
            | FewPerLabel()
            | OtherCount()
            | ToyModel()
            | FarBehind()
            | NearCopies()
            | OtherMetric()
            | DataDoubt()
        ):
            return care_words.sentence(item, case.decision)
        case Incapable() | AllZero() | OneDraw() | UnknownDraws() | CutRival() | UnclearCost() | HarderEnglish():
            return _of_strategies(case, item)
        case Halved() | NoCost() | NoLatency() | StrangeAnswers():
            return _of_files(item)


def _of_strategies(
    case: Case, item: Incapable | AllZero | OneDraw | UnknownDraws | CutRival | UnclearCost | HarderEnglish
) -> str:
    """Say what strategies cannot do or forgot, or what their draws, their time or their timings leave open."""
    match item:
        case Incapable() | AllZero():
            return claims.warning(item, case.words, winner=case.decision.winner)
        case OneDraw() | UnknownDraws():
            return draw_words.caution(item, case.words)
        case CutRival():
            return cut_words.warning(item, case.words, case.decision.winner)
        case UnclearCost():
            return care_words.unclear_cost(item)
        case HarderEnglish():
            return harder_english(item)


def _of_files(item: Halved | NoCost | NoLatency | StrangeAnswers) -> str:
    """Return what prediction files leave open."""
    match item:
        case Halved(dev, test):
            return (
                f"No row is marked as dev, so the choice was made on a random half of the examples ({dev:,}) and "
                f"tested on the other half ({test:,}); give dev rows to test on all of these."
            )
        case NoCost():
            return (
                "The files give no cost, so no strategy counts as cheaper: of those within the margin, a baseline is "
                "taken first and then the best on dev."
            )
        case StrangeAnswers(strategy, strange, n, sample):
            return (
                f"{strange} of {n} answers of {strategy} name no label of the references (such as {sample!r:.60}) and "
                "count as wrong; write labels as the references do."
            )
        case NoLatency(()):
            return "The files give no latency, so none is known."
        case NoLatency(strategies):
            return f"The latency of {', '.join(strategies)} is not known: the rows have no latency_ms."

"""The verdict in plain sentences: the reason, the further reasons, what would change it, and warnings.

Not covered: reaching the verdict (`verdict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from llmtl.decision.config import DecisionConfig
from llmtl.decision.evidence import Evidence
from llmtl.decision.outcome import BreakEven, Choice, Dropped, Verdict
from llmtl.decision.ranking import Ranking
from llmtl.decision.verdict import Because, Ruling
from llmtl.decision.wording import Words, listed, usd
from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.intervals import Interval
from llmtl.metrics.summed import clustered

WIDE = 0.15
"""A minimum detectable difference above this earns a warning: no test that blunt can weigh the usual gaps."""
WIDEST_MARGIN = 0.10
"""Wider margins are not proposed: nobody gives up that much to save a little."""


@dataclass(frozen=True)
class Case:
    """Everything a sentence may need."""

    choice: Choice
    ranking: Ranking
    test: Mapping[str, Evaluation]
    evidence: Evidence
    ruling: Ruling
    config: DecisionConfig
    detectable: float
    more: int | None
    break_even: tuple[BreakEven, ...]

    @property
    def words(self) -> Words:
        """Return how numbers of this metric are written."""
        return Words(self.ranking.metric)

    def against(self, a: str, b: str, title: str = "") -> str:
        """Return the two test scores and how they compare; `title` says what b is."""
        return f"{self.words.against(self.test[a], self.test[b], title)} ({self.words.better(self.evidence, a, b)})"

    @property
    def on_test(self) -> str:
        """Return on how much evidence a sentence rests."""
        return f"on {self.evidence.n:,} unseen example{'' if self.evidence.n == 1 else 's'}"


def reason(case: Case) -> str:
    """Return the verdict's reason in one or two sentences with its numbers."""
    return {
        Because.BETTER: _better,
        Because.TIED: _tied,
        Because.NOT_WORTH_MORE: _not_worth_more,
        Because.NO_LLM: _no_llm,
        Because.OPEN: _open,
        Because.CONTRADICTED: _contradicted,
        Because.ALONE: _alone,
    }[case.ruling.because](case)


def reasons(case: Case, target_note: str | None) -> tuple[str, ...]:
    """Return the further reasons: the choice, every comparison, target, cost, and what test could not see."""
    choice, words = case.choice, case.words
    lines = [_chosen(case), *_flattery(case)]
    lines += [
        f"On test, {case.against(item.planned.a, item.planned.b)}: {item.planned.why}."
        for item in case.evidence.findings
    ]
    if target_note:
        lines.append(f"The target is {target_note}.")
    lines += _cost(case)
    lines += [f"{name} could not be chosen: {why}." for name, why in choice.ineligible.items()]
    lines += [f"{drop.strategy}: {why_dropped(drop, words)}." for drop in choice.dropped]
    if case.detectable < 1:
        lines.append(
            f"Test shows a true difference of {words.gap(case.detectable)} four times in five, smaller ones less often."
        )
    return tuple(lines)


def why_dropped(drop: Dropped, words: Words) -> str:
    """Return why a strategy left the race on dev."""
    return (
        f"not scored further after {drop.n_seen:,} of {drop.n:,} dev examples, which show that it would not be chosen: "
        f"{words.plain(drop.score)} against {words.plain(drop.against_score)} for {drop.against} on those"
    )


def target_of(target: float | None, score: Interval | None, words: Words) -> tuple[bool | None, str | None]:
    """Return whether the target is met, missed (False) or not shown (None), and a note that says which and why."""
    if target is None:
        return None, None
    if score is None:
        return None, f"not shown: the winner has no score on test to compare with {words.plain(target)}"
    interval = f"95% interval {words.plain(score.low)} to {words.plain(score.high)}"
    if score.low >= target:
        return True, f"met: the whole interval is at or above {words.plain(target)} ({interval})"
    if score.value >= target:
        return (
            None,
            f"not shown: {words.plain(score.value)} is at or above {words.plain(target)}, but the interval reaches "
            f"below it ({interval})",
        )
    beyond = "even the interval ends below it" if score.high < target else "the interval still reaches it"
    return False, f"missed: {words.plain(score.value)} is below {words.plain(target)}, {beyond} ({interval})"


def would_change(case: Case) -> tuple[str, ...]:
    """Return what would change the verdict or the choice: volume, margin, constraints, more labels."""
    choice, ranking, words = case.choice, case.ranking, case.words
    lines = []
    if case.more is not None:
        lines.append(
            f"About {case.more:,} more labelled test examples would settle it, "
            "if the differences observed are the true ones."
        )
    comparable = {*choice.within_margin, *(name for pair in case.ruling.pairs for name in pair)}
    for point in case.break_even:
        if {point.cheaper_below, point.cheaper_above} <= comparable:
            lines.append(
                f"Above {point.requests:,.0f} requests in all, {point.cheaper_above} is cheaper than "
                f"{point.cheaper_below}; {ranking.prices.requests:,.0f} are expected."
            )
    lines += _margin_lines(case)
    lines += [
        f"{name} scored best on dev among those the constraints exclude; without them it could be chosen."
        for name in [ranking.best(list(choice.ineligible))]
        if name is not None and ranking.score(name) > ranking.score(choice.strategy) + choice.margin
    ]
    if choice.strategy != choice.best_on_dev:
        gap = ranking.score(choice.best_on_dev) - ranking.score(choice.strategy)
        lines.append(f"With a margin below {words.gap(gap)}, dev would not have chosen {choice.strategy}.")
    return tuple(lines)


def warnings(case: Case) -> tuple[str, ...]:
    """Return what a reader must know before trusting the verdict."""
    lines = []
    n = case.evidence.n
    if case.choice.best_baseline is None:
        lines.append(
            "No baseline is among them, so whether a language model is needed at all is not known; add one, say tfidf."
        )
    if case.detectable >= 1:
        lines.append(f"Test has only {n} example{'' if n == 1 else 's'}: no difference can be shown.")
    elif case.detectable > WIDE and case.ruling.verdict in (Verdict.TIE, Verdict.INCONCLUSIVE):
        lines.append(
            f"Test has only {n} examples: true differences below {case.words.gap(case.detectable)} mostly go unseen."
        )
    lines += [
        f"{item.strategy} failed on {item.failed} of {item.n} test examples; failures count as errors."
        for item in case.test.values()
        if item.failed
    ]
    return tuple(lines)


def _better(case: Case) -> str:
    winner, baseline = case.ruling.winner, case.choice.best_baseline
    beaten = [b for a, b in case.ruling.pairs if b != baseline and case.evidence.shown_better(a, b)]
    tail = f" It is also shown better than {listed(beaten)}." if beaten and baseline else ""
    against = baseline or (beaten or [b for _, b in case.ruling.pairs])[0]
    title = ", the best baseline" if baseline else ""
    if not baseline and not beaten:
        return (
            f"Adopt {winner}, the cheapest: {case.on_test} {case.against(winner, against)}, so nothing dearer is shown "
            "to be worth more."
        )
    return f"Adopt {winner}: {case.on_test} {case.against(winner, against, title)}.{tail}"


def _tied(case: Case) -> str:
    winner, chosen, baseline = case.ruling.winner, case.choice.strategy, case.choice.best_baseline
    tied = [chosen, *[rival for _, rival in case.ruling.pairs]]
    cheapest = case.ranking.cheapest(tied)
    known = all(case.ranking[name].usd_per_1k_requests is not None for name in tied)
    take = f"Take {winner}, {'the cheapest of them' if known else 'the best of them on dev'}"
    if baseline is not None:
        proof = f"{baseline}, the best baseline ({case.words.better(case.evidence, winner, baseline)})"
        take += f" and shown better than {proof}" if winner == cheapest else f" that is shown better than {proof}"
    settle = "" if case.more is None else f" About {case.more:,} more test examples would settle it."
    other = winner if winner != chosen else tied[1]
    shown = all(case.evidence.not_worth_more(chosen, rival) for rival in tied[1:])
    said = f"{chosen} is not worth more than {listed(tied[1:])}" if shown else f"{listed(tied)} cannot be told apart"
    return f"{said}: {case.on_test} {case.against(chosen, other)}. {take}.{settle}"


def _not_worth_more(case: Case) -> str:
    winner, words = case.ruling.winner, case.words
    llm = max((a for a, _ in case.ruling.pairs), key=case.ranking.score)
    bound = case.evidence.at_most(llm, winner) or 0.0
    if case.evidence.shown_better(winner, llm):
        shown = "which is shown better"
    elif bound <= 0:
        shown = "so it is no better"
    else:
        shown = f"so it is at most {words.gap(bound)} better, within the margin of {words.gap(case.choice.margin)}"
    return f"No language model earns its keep, use {winner}: {case.on_test} {case.against(llm, winner)}, {shown}."


def _no_llm(case: Case) -> str:
    barred = [name for name in case.ranking.names(baseline=False) if name in case.choice.ineligible]
    if not barred:
        return f"Use {case.ruling.winner}: no language-model strategy was measured."
    return f"Use {case.ruling.winner}: no language-model strategy meets the constraints ({listed(barred)} excluded)."


def _open(case: Case) -> str:
    a, b = case.ruling.pairs[0]
    advice = (
        "no realistic number of further test examples would settle it"
        if case.more is None
        else f"about {case.more:,} more labelled test examples would settle it"
    )
    return (
        f"Too close to call: {case.on_test} {case.against(a, b)}, which neither shows it better nor rules out that it "
        f"is better by more than {case.words.gap(case.choice.margin)}; {advice}. Until then: {case.ruling.winner}, "
        "chosen on dev."
    )


def _contradicted(case: Case) -> str:
    a, b = case.ruling.pairs[0]
    return (
        f"Dev and test disagree: dev chose {b}, but {case.on_test} {case.against(a, b)}. Choosing {a} now would be "
        f"choosing on test; label more examples and decide again. Until then: {case.ruling.winner}."
    )


def _alone(case: Case) -> str:
    return f"There is nothing to compare {case.ruling.winner} with; add a baseline such as tfidf."


def _chosen(case: Case) -> str:
    choice, words = case.choice, case.words
    number = len(choice.within_margin)
    how = "the only strategy" if number == 1 else f"the cheapest of {number} strategies"
    return (
        f"Before test was opened, dev chose {choice.strategy}: {how} within {words.gap(choice.margin)} of the best "
        f"score, {words.plain(case.ranking.score(choice.best_on_dev))} by {choice.best_on_dev}."
    )


def _cost(case: Case) -> list[str]:
    """Return the sentence on what the winner costs, where anybody knows that."""
    ranking = case.ranking
    winner = ranking[case.ruling.winner]
    if winner.usd_per_1k_requests is None:
        return []
    each = f"{winner.strategy} costs {usd(winner.usd_per_1k_requests)} USD per 1,000 requests"
    if winner.train_usd is None:
        return [f"{each}; what training it costs is not known and counts as nothing."]
    if not any(item.usd_per_1k_requests or item.train_usd for item in ranking.evaluations):
        return []
    total = usd(ranking.usd_total(winner.strategy))
    return [f"{each} and, training included, {total} USD over {ranking.prices.requests:,.0f} requests."]


def _flattery(case: Case) -> list[str]:
    """Return the sentences on what the dev score and the interval of the choice leave out or take in."""
    choice, words = case.choice, case.words
    lines = []
    if choice.optimism is not None and choice.optimism > 0:
        score = words.plain(case.ranking.score(choice.strategy))
        lines.append(
            f"Being chosen on dev flatters the dev score of {choice.strategy}, {score}, "
            f"by about {words.gap(choice.optimism)} (the choice repeated on resamples of dev); test is free of that."
        )
    lines += [
        f"{item.strategy} was trained {1 + len(item.seed_predictions)} times; its test score is the mean, and its "
        "intervals and p-values hold for another training run too."
        for item in case.test.values()
        if item.seed_predictions
    ]
    if next((item for item in case.test.values() if clustered(item.groups)), None):
        lines.append("Test examples come in groups; intervals and tests resample whole groups.")
    return lines


def _margin_lines(case: Case) -> list[str]:
    """Return the wider margin at which dev would have chosen a cheaper strategy, if any is near."""
    choice, ranking = case.choice, case.ranking
    best = ranking.score(choice.best_on_dev)
    cheaper = [
        name
        for name in ranking.names()
        if name not in choice.ineligible and name not in choice.within_margin and ranking.cheaper(name, choice.strategy)
    ]
    nearest = ranking.best(cheaper)
    if nearest is None or best - ranking.score(nearest) > WIDEST_MARGIN:
        return []
    gap = case.words.gap(best - ranking.score(nearest))
    return [f"With a margin of at least {gap}, dev would have chosen a cheaper strategy, such as {nearest}."]

"""What every form of the report shows, worked out once from `ReportContent`.

Not covered: how it looks; numbers in words are `wording`'s.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from llmtl.costs import PriceConfig, Pricing
from llmtl.decision.outcome import Comparison, StrategyResult, Verdict
from llmtl.decision.outlook import MoreRequests
from llmtl.decision.transferred import Transferred, transferred
from llmtl.findings import FitFinding, SearchTrace, TrainingCurve, finding
from llmtl.judging.result import JudgedComparison
from llmtl.measured.endpoint import Served
from llmtl.measured.evaluation import Evaluation
from llmtl.measured.forgetting import Forgetting
from llmtl.report import cost_words, cut_words, how_measured, sentences, serving, wording
from llmtl.report.brief import VerdictCard, brief_of
from llmtl.report.by_label import LabelTable, Low, best_rival, label_table, lowest_answers, not_applicable
from llmtl.report.confusion import Confusion, confusion_of
from llmtl.report.content import ReportContent
from llmtl.report.disagreement import Disagreements, find_disagreements
from llmtl.report.glossary import glossary
from llmtl.report.key_figures import Figure, figures_of
from llmtl.report.mix_ups import MixUp, mix_ups
from llmtl.report.money import Money, money_of, near
from llmtl.report.reliability import Reliability, reliability_of
from llmtl.report.wrong_answers import WrongAnswers, wrong_answers_of
from llmtl.strategy import Role


@dataclass(frozen=True)
class StrategyRow:
    """One strategy with what was measured of it.

    `standing` says in a few words what it is to the decision, `why` in a sentence why it could not be chosen (empty for
    one that could, and for one that left the race, of which the decision's reasons tell); `badge` is a word for the
    winner and empty for the others. `stopped` says how far fitting came where its time limit ended it. `served` is
    what a live endpoint was measured to take. `code` is the name of the table, where the result has another. `given`
    says that its predictions were made elsewhere. `cost`
    writes `usd`, and `served_cost` that of the endpoint, in the unit of `View.cost_is`.
    """

    result: StrategyResult
    test: Evaluation | None
    dev: Evaluation | None
    winner: bool
    badge: str
    standing: str
    why: str = ""
    stopped: str = ""
    served: Served | None = None
    usd_fitting: float | None = None
    code: str = ""
    given: bool = False
    usd: float | None = None
    cost: str = ""
    served_cost: str = ""

    @property
    def label(self) -> str:
        """Return the name with what is special about the strategy: `qlora (winner, served)`."""
        return self._marked(self.result.name)

    @property
    def short_label(self) -> str:
        """Return the same with the name of the table, for where a title has no room."""
        return self._marked(self.code or self.result.name)

    def _marked(self, name: str) -> str:
        marks = [mark for mark in (self.badge, "served" if self.served else "") if mark]
        return f"{name} ({', '.join(marks)})" if marks else name


@dataclass(frozen=True)
class DrawnStep:
    """One measurement during training; what was not measured is None.

    `accuracy_of` says what the accuracy is of: `dev examples` or `dev tokens`. `kept` marks the checkpoint in use,
    `averaged` those whose mean is in use instead. `scored` names the metric where another takes the place of the
    accuracy.
    """

    step: float
    train_loss: float | None
    dev_loss: float | None
    dev_accuracy: float | None
    accuracy_of: str
    kept: bool
    scored: str = "accuracy"
    averaged: bool = False


@dataclass(frozen=True)
class DrawnRates:
    """The learning rates that were tried on a copy of the model, with the training loss at each, and the one in use."""

    tried: tuple[tuple[float, float], ...]
    used: float


@dataclass(frozen=True)
class DrawnPrompt:
    """One count and seed of demonstrations, and wording of the instruction, with its score on dev.

    The score is in the decision's metric, or in accuracy where a strategy kept only that. `rotations` counts the orders
    in which the labels were listed; `retrieval` is how examples are found, where there was more than one way.
    """

    shots: int
    seed: int
    score: float
    chosen: bool
    instruction: int = 0
    rotations: int = 1
    retrieval: str | None = None


@dataclass(frozen=True)
class View:
    """Everything that is shown, in reading order."""

    content: ReportContent
    verdict: str
    brief: VerdictCard
    reason: str
    changes: tuple[str, ...]
    figures: tuple[Figure, ...]
    rows: tuple[StrategyRow, ...]
    measured: tuple[str, ...]
    learning_curves: Mapping[str, tuple[DrawnStep, ...]]
    rate_searches: Mapping[str, DrawnRates]
    candidates: Mapping[str, tuple[DrawnPrompt, ...]]
    confusion: Confusion | None
    by_label: LabelTable | None
    mix_ups: tuple[MixUp, ...]
    lowest: tuple[Low, ...]
    disagreements: Disagreements
    reliability: Reliability | None
    served_facts: tuple[tuple[str, str], ...]
    drift: str
    money: Money | None
    wrong_answers: WrongAnswers | None = None
    transfer: Transferred = field(default_factory=Transferred)

    @property
    def forgetting(self) -> Mapping[str, Forgetting]:
        """Return what tuned language models forgot, by strategy; cascades repeat what their members forgot."""
        results = self.content.decision.strategies
        return {each.name: each.forgetting for each in results if each.forgetting and each.role is not Role.CASCADE}

    def purpose(self, pair: Comparison | JudgedComparison) -> str:
        """Say why two strategies were compared."""
        choice, names = self.content.decision.choice, {pair.a, pair.b}
        planned = (item for item in choice.comparisons if {item.a, item.b} == names)
        return next((sentences.purpose(item.purpose, choice.strategy) for item in planned), "")

    @property
    def rings_are(self) -> str:
        """Say what the dashed rings in charts are; empty where there are none."""
        return cut_words.RINGS if any(row.stopped for row in self.rows) else ""

    @property
    def intervals_are(self) -> str:
        """Say which intervals of the differences are shown."""
        return how_measured.intervals_are(self.content.decision)

    @property
    def other_metric(self) -> str:
        """Return the metric that is shown beside the one decided on: the first other one of the kind of task."""
        return self.metrics[1]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return all metrics of the kind of task, the one decided on first."""
        metrics = [metric.value for metric in self.content.task.kind.metrics]
        return tuple(sorted(metrics, key=lambda metric: metric != self.content.decision.metric))

    @property
    def no_labels(self) -> str:
        """Say why there is no table by label; empty where there is one."""
        return not_applicable(self.content.task.kind)

    @property
    def labels_are(self) -> str:
        """Return what the task's labels are called: `label`, or `type` for extraction."""
        return self.content.task.kind.noun

    @property
    def cost_is(self) -> str:
        """Return what the costs of the table of strategies are: `USD per month`."""
        return f"USD {cost_words.unit(cost_words.by_month(self.content.decision.strategies)).removesuffix(' requests')}"

    @property
    def meanings(self) -> Mapping[str, str]:
        """Return what the described labels mean."""
        return self.content.task.label_meanings

    @property
    def glossary(self) -> tuple[tuple[str, str], ...]:
        """Return the words that the report uses with what they mean."""
        return glossary(self.content)

    @property
    def winner(self) -> StrategyRow | None:
        """Return the winner's row, or None if it was not measured."""
        return next((row for row in self.rows if row.winner), None)


def build_view(content: ReportContent) -> View:
    """Return what a report on this content shows."""
    winner = _evaluation(content, content.decision.winner, split="test")
    rival = _evaluation(content, best_rival(content.decision) or "", split="test")
    rows = tuple(sorted((_row(content, result) for result in content.decision.strategies), key=_rank, reverse=True))
    curves = {name: _curve(found) for name, found in content.fit_findings.items()}
    candidates = {name: _candidates(found, content.decision.metric) for name, found in content.fit_findings.items()}
    labels, kind = content.task.labels, content.task.kind
    codes = {} if content.elsewhere else content.codes  # what was made elsewhere cannot be served
    brief = brief_of(content.decision, content.summary, codes, kind=kind)
    return View(
        content=content,
        verdict=brief.headline,
        brief=brief,
        reason=content.summary.below_verdict,
        changes=_changes(content),
        figures=figures_of(content),
        rows=rows,
        measured=how_measured.lines(content),
        learning_curves={name: points for name, points in curves.items() if points},
        rate_searches={
            name: DrawnRates(trained.range_test, trained.learning_rate)
            for name, found in content.fit_findings.items()
            if (trained := finding(found, TrainingCurve)) and trained.range_test
        },
        candidates={name: tried for name, tried in candidates.items() if tried},
        confusion=confusion_of(winner, labels) if winner and kind.one_label else None,
        by_label=label_table(winner, rival, labels) if winner else None,
        mix_ups=mix_ups(winner) if winner else (),
        lowest=lowest_answers(winner, content) if winner else (),
        disagreements=find_disagreements(content),
        reliability=reliability_of(winner) if winner else None,
        served_facts=serving.facts(content.served, _monthly_prices(content)) if content.served else (),
        drift=serving.drift(content.served) if content.served else "",
        money=money_of(content),
        wrong_answers=wrong_answers_of(content.decision, kind),
        transfer=transferred(
            content.decision, content.evaluations, content.fit_findings, codes=content.codes, prices=content.prices
        ),
    )


def reading(comparison: Comparison, alpha: float) -> str:
    """Return what a comparison shows, in words: `qlora is better`, `no difference shown`."""
    if comparison.p_holm > alpha or comparison.difference == 0:
        return "no difference shown"
    return f"{comparison.a if comparison.difference > 0 else comparison.b} is better"


def _evaluation(content: ReportContent, strategy: str, *, split: str) -> Evaluation | None:
    return next((e for e in content.evaluations if e.strategy == strategy and e.split == split), None)


def _rank(row: StrategyRow) -> tuple[bool, float, bool]:
    test = row.result.test
    return (test is not None, test.value if test else row.result.dev.value, row.winner)


def _row(content: ReportContent, result: StrategyResult) -> StrategyRow:
    decision = content.decision
    winner = result.name == decision.winner
    badge = ("for now" if decision.verdict is Verdict.INCONCLUSIVE else "winner") if winner else ""
    left = next((drop for drop in decision.choice.dropped if drop.strategy == result.name), None)
    if left is not None:
        standing = f"left the race after {wording.count(left.n_seen)} of {wording.count(left.n)}"
    elif not result.eligible:
        standing = _barred(result)
    elif winner and result.name == decision.chosen_before_test:
        standing = f"{badge}, chosen on dev"
    elif winner:
        standing = badge
    elif result.name == decision.chosen_before_test:
        standing = "chosen on dev"
    else:
        standing = "eligible"
    dev, test = (_evaluation(content, result.name, split=split) for split in ("dev", "test"))
    served = content.served if content.served and content.served.strategy == result.name else None
    why = "" if result.eligible or left else content.summary.why_not.get(result.name) or "no reason was recorded"
    stopped = cut_words.stopped(result.cuts)
    used = test or dev
    fitting = None if used is None or content.prices is None else Pricing(content.prices).fitting(used)
    month = cost_words.by_month(decision.strategies)
    return StrategyRow(
        result,
        test,
        dev,
        winner=winner,
        badge=badge,
        standing=f"{standing}; {stopped}" if stopped else standing,
        why=why,
        stopped=stopped,
        served=served,
        usd_fitting=fitting,
        code=content.codes.get(result.name, ""),
        given=content.elsewhere,
        usd=cost_words.cost(result, month=month),
        cost=cost_words.said(result, month=month),
        served_cost=cost_words.as_served(served, content.prices, month=month) if served else "",
    )


def _monthly_prices(content: ReportContent) -> PriceConfig | None:
    """Return the recipe's prices where costs are told by the month."""
    return content.prices if cost_words.by_month(content.decision.strategies) else None


def _barred(result: StrategyResult) -> str:
    """Return the constraints that a strategy breaks; the whole reason is the row's `why`."""
    broken = ", ".join(item.constraint for item in result.broken)
    return f"not eligible: {broken}" if broken else "not eligible"


def _changes(content: ReportContent) -> tuple[str, ...]:
    """Return what would change the verdict, and the break-even points that these lines do not state already.

    Break-even points far from the expected volume change nothing, and are left to the chart.
    """
    decision = content.decision
    stated = [item.point for item in decision.changes if isinstance(item, MoreRequests)]
    return content.summary.would_change + tuple(
        f"Above {wording.plural(point.requests, 'request')} in all, {point.cheaper_above} costs less than "
        f"{point.cheaper_below}."
        for point in decision.break_even
        if point not in stated and (content.prices is None or near(point.requests, content.prices.requests))
    )


def _curve(findings: Sequence[FitFinding]) -> tuple[DrawnStep, ...]:
    trained = finding(findings, TrainingCurve)
    if trained is None:
        return ()
    return tuple(
        DrawnStep(
            step=point.step,
            train_loss=point.train_loss,
            dev_loss=point.dev_loss,
            dev_accuracy=point.dev_score if trained.dev_metric else point.dev_token_accuracy,
            accuracy_of="dev examples" if trained.dev_metric else "dev tokens",
            kept=point.step == trained.best_step,
            averaged=point.step in trained.averaged_steps,
            scored=wording.metric_name(trained.dev_metric) if trained.dev_metric else "accuracy",
        )
        for point in sorted(trained.points, key=lambda point: point.step)
    )


def _candidates(findings: Sequence[FitFinding], metric: str) -> tuple[DrawnPrompt, ...]:
    searched = finding(findings, SearchTrace)
    if searched is None:
        return ()
    chosen = (searched.shots, searched.seed, searched.instruction, searched.rotations, searched.retrieval)
    return tuple(
        DrawnPrompt(
            shots=each.shots,
            seed=each.seed,
            score=each.scores[metric],
            chosen=(each.shots, each.seed, each.instruction, each.rotations, each.retrieval) == chosen,
            instruction=each.instruction,
            rotations=each.rotations,
            retrieval=each.retrieval,
        )
        for each in searched.tried
        if metric in each.scores
    )

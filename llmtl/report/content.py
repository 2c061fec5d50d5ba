"""What a report is made from: plain values, no models and no files.

Not covered: turning them into HTML, Markdown or terminal output (`html`, `markdown_text`, `terminal`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from llmtl.checks.finding import Finding
from llmtl.costs import PriceConfig, Spending
from llmtl.decision.config import DecisionConfig
from llmtl.decision.outcome import Decision
from llmtl.decision.sensitivity import NoiseSensitivity
from llmtl.findings import FitFinding
from llmtl.judging.result import Judging
from llmtl.learning_curve.conclusion import LearningCurves
from llmtl.measured.endpoint import Served
from llmtl.measured.evaluation import Evaluation
from llmtl.report.sentences import Summary
from llmtl.task import Example, Task


class SkipReason(StrEnum):
    """Why a strategy of the recipe was not measured."""

    PRIVATE = "private"  # it would send inputs away, which `decision.private` forbids
    CONTEXT = "context"  # its prompts do not fit the model's context
    KIND = "kind"  # the model was never taught tasks of that kind
    UNKNOWN = "unknown"  # earlier versions kept the message alone


@dataclass(frozen=True)
class Skipped:
    """A strategy that was not measured: why, and the message that said so."""

    reason: SkipReason
    message: str


@dataclass(frozen=True)
class ReportContent:
    """Everything a report shows.

    `summary` says the decision in sentences. `evaluations` holds dev and test evaluations of every strategy that ran;
    `fit_findings` what fitting each one found out, by name; `skipped` the strategies that did not run and why;
    `provenance` name-value pairs (model, versions, device, seeds, fingerprints, times). `served` is what the live
    endpoint was measured to do, if there was one; the decision's costs and latencies are measured offline all the same.
    `prices` and `limits` are the recipe's; `curves` and `noise` what labelling more would bring, and
    whether wrong labels decided; `judging` a judge's second opinion on the comparisons;
    `spending` what making the decision took; `corpus` the texts that were searched, by id.
    `codes` are the names that recipes and commands know the strategies by, where those here are called by their titles
    (`titled`). `elsewhere` says that only the predictions are known, and not how they were made.
    """

    task: Task
    decision: Decision
    summary: Summary
    evaluations: tuple[Evaluation, ...]
    test_examples: tuple[Example, ...]
    sizes: Mapping[str, int]
    fit_findings: Mapping[str, tuple[FitFinding, ...]]
    findings: tuple[Finding, ...] = ()
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    served: Served | None = None
    prices: PriceConfig | None = None
    limits: DecisionConfig | None = None
    curves: LearningCurves | None = None
    noise: NoiseSensitivity | None = None
    judging: Judging | None = None
    spending: Spending | None = None
    corpus: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)
    elsewhere: bool = False

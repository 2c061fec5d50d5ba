"""What a run found: the decision, final when it was made, and beside it what was learned afterwards."""

from dataclasses import dataclass

from llmtl.costs import Spending
from llmtl.decision.outcome import Decision
from llmtl.decision.sensitivity import NoiseSensitivity
from llmtl.judging.result import Judging
from llmtl.learning_curve.conclusion import LearningCurves


@dataclass(frozen=True)
class RunResult:
    """A decision with what becomes of it without doubtful labels, a judge's opinion, curves, and what all took.

    None where that was not worked out, or not kept by the version that made the run.
    """

    decision: Decision
    noise: NoiseSensitivity | None = None
    judging: Judging | None = None
    curves: LearningCurves | None = None
    spending: Spending | None = None

"""Everything that must be read with care before a verdict is used: the rules of `label_care` and `model_care`.

Not covered: what the decision itself says of its comparisons (`changes.cautions`), words (`llmtl.report.care_words`).
"""

from collections.abc import Sequence
from dataclasses import replace

from llmtl.checks.finding import Finding
from llmtl.checks.leakage import NEAR_COPIES
from llmtl.decision.capability import Incapable
from llmtl.decision.label_care import few_per_label, missed_labels, other_count
from llmtl.decision.model_care import data_doubts, far_behind, near_copies, other_metric, toy_models
from llmtl.decision.outcome import Caution, Decision
from llmtl.measured.evaluation import Evaluation
from llmtl.task import Metric


def with_care(decision: Decision, test: Sequence[Evaluation], findings: Sequence[Finding] = ()) -> Decision:
    """Add to a decision what the test evaluations and the checks of the data say against trusting it blindly."""
    metric, by_name = Metric(decision.metric), {item.strategy: item for item in test}
    unable = [item.model for item in decision.cautions if isinstance(item, Incapable)]
    found: list[Caution] = [*toy_models(test, decision.winner), *far_behind(test, metric, left_out=unable)]
    found += data_doubts(findings)
    winner = by_name.get(decision.winner)
    if winner is not None:
        barred = {item.name for item in decision.strategies if not item.eligible}
        rivals = {name: item for name, item in by_name.items() if name != decision.winner and name not in barred}
        copies = {id_ for each in findings if each.code == NEAR_COPIES for id_ in each.ids}
        found += [
            *missed_labels(winner),
            *near_copies(winner, metric, copies),
            *other_metric(winner, rivals, metric, margin=decision.margin),
            *other_count(winner),
            *few_per_label(winner),
        ]
    return replace(decision, cautions=(*decision.cautions, *found))

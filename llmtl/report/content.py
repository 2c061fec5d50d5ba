"""What a report is made from: plain values, no models and no files.

Not covered: turning them into HTML, Markdown or terminal output (`html`, `markdown_text`, `terminal`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from llmtl.checks.finding import Finding
from llmtl.decision.outcome import Decision
from llmtl.evaluation import Evaluation
from llmtl.task import Example, Task


@dataclass(frozen=True)
class ReportContent:
    """Everything a report shows.

    `evaluations` holds dev and test evaluations of every strategy that ran; `details` the `Predictor.details()` of each
    strategy by name; `skipped` the strategies that did not run and why; `provenance` name-value pairs (model, versions,
    device, seeds, fingerprints, times).
    """

    task: Task
    decision: Decision
    evaluations: tuple[Evaluation, ...]
    test_examples: tuple[Example, ...]
    sizes: Mapping[str, int]
    details: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)

"""Checks of the data before any compute is spent: leakage, duplicates, imbalance, sizes, truncation, label noise.

Every check returns findings; those of level `stop` mean that measuring would be worthless. Not covered: fixing the
data, and acting on findings (`llmtl.pipeline`).
"""

from collections.abc import Callable

from llmtl.checks.balance import check_imbalance, check_missing_names, check_separators, check_size, check_spelling
from llmtl.checks.context import check_context
from llmtl.checks.dropped_rows import check_cleaning
from llmtl.checks.finding import Finding, Level
from llmtl.checks.label_noise import check_label_noise
from llmtl.checks.leakage import check_label_names, check_leakage, check_templates
from llmtl.checks.span_edges import check_spans
from llmtl.data import Cleaning
from llmtl.data.config import NEAR_DUPLICATE_JACCARD
from llmtl.task import Split, Task

__all__ = [
    "Finding",
    "Level",
    "check_cleaning",
    "check_context",
    "check_imbalance",
    "check_label_names",
    "check_label_noise",
    "check_leakage",
    "check_missing_names",
    "check_separators",
    "check_size",
    "check_spans",
    "check_spelling",
    "check_templates",
    "run_checks",
]


def run_checks(
    split: Split,
    task: Task,
    *,
    cleaning: Cleaning | None = None,
    count_prompt_tokens: Callable[[str], int] | None = None,
    answer_tokens: int = 0,
    context_length: int | None = None,
    near_duplicate_threshold: float = NEAR_DUPLICATE_JACCARD,
    seed: int = 0,
) -> list[Finding]:
    """Run all checks, the slowest last, and list what they find.

    Give `cleaning` for what reading dropped. The context is checked when `count_prompt_tokens` and `context_length` are
    given; raises `ContextLengthError` when the longest example does not fit. Labels of test are only counted. Label
    names in texts, templates, imbalance and label noise are looked for in classification only.
    """
    known = (*split.train, *split.dev)
    one_label = task.kind.one_label
    findings = check_cleaning(cleaning, task.kind) if cleaning is not None else []
    findings += check_leakage(split, threshold=near_duplicate_threshold)
    if one_label:
        findings += check_label_names(known)
        findings += check_templates(split)
        findings += check_imbalance(split, task)
    findings += check_spelling(task)
    findings += check_missing_names(task)
    findings += check_separators(task, (*known, *split.test))
    findings += check_spans(split, task)
    findings += check_size(split, task)
    if count_prompt_tokens is not None and context_length is not None:
        findings += check_context(
            (*known, *split.test), count_prompt_tokens, answer_tokens=answer_tokens, context_length=context_length
        )
    return [*findings, *check_label_noise(known, seed=seed)] if one_label else findings

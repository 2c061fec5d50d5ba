"""Score typed spans. An answer that repeats a span claims it once, except in field F1.

    strict    type, start and end are right: the F1 of CoNLL (Tjong Kim Sang & De Meulder 2003) and of seqeval
    partial   a span of the right type that overlaps counts half: (COR + 0.5 PAR) over the spans claimed is precision,
              over the spans to find recall, as in SemEval-2013 task 9.1 (Segura-Bedmar et al. 2013, section 4) and
              nervaluate, but for the right type only. Spans are paired one to one so that the most counts.
    field     type and text are right, wherever they stand; each as often as it occurs

Not covered: spans of tokens; JSON validity, which is the share of answers that did not fail.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import numpy as np

from llmtl.answers import Span, read_spans
from llmtl.errors import InputError
from llmtl.metrics.counting import ExactMeasure, F1Measure, Items, Keys, common, exact, read_all
from llmtl.values import Metric

PARTIAL_CREDIT = 0.5
"""Segura-Bedmar et al. (2013), "SemEval-2013 Task 9", section 4; Chinchor & Sundheim (1993), "MUC-5 Evaluation
Metrics"."""


def span_f1(metric: Metric, references: Sequence[str], types: Sequence[str]) -> F1Measure:
    """Measure strict micro or macro F1, or partial or field micro F1, over spans."""
    read = _fields if metric is Metric.FIELD_F1 else _places
    return F1Measure(
        metric=metric,
        labels=tuple(types),
        expected=read_all(read, references),
        read=read,
        agree=_overlapping if metric is Metric.PARTIAL_F1 else common,
        macro=metric is Metric.MACRO_F1,
    )


def span_match(references: Sequence[str]) -> ExactMeasure:
    """Measure the share of examples with exactly the right spans: type, start and end."""
    return exact(
        Metric.EXACT_MATCH,
        references,
        lambda answer: frozenset((span.type, span.start, span.end) for span in read_spans(answer)),
    )


def named_types(answer: str) -> set[str]:
    """Read the types that an answer names; none if it cannot be read."""
    try:
        return {span.type for span in read_spans(answer)}
    except InputError:
        return set()


def _places(answer: str) -> Items:
    by_type = _by_type(read_spans(answer), lambda span: (span.start, span.end))
    return {type_: Counter(set(keys)) for type_, keys in by_type.items()}


def _fields(answer: str) -> Items:
    return _by_type(read_spans(answer), lambda span: span.text)


def _by_type(spans: Iterable[Span], key: Callable[[Span], object]) -> dict[str, Keys]:
    found: dict[str, Keys] = {}
    for span in spans:
        found.setdefault(span.type, Counter())[key(span)] += 1
    return found


def _overlapping(expected: Keys, claimed: Keys) -> float:
    """Compute the credit of the best one-to-one pairing: 1 for equal places, a half for overlapping ones."""
    both = expected & claimed
    left = [np.array(cast("list[tuple[int, int]]", list(keys - both))) for keys in (expected, claimed)]
    if not all(len(places) for places in left):
        return float(both.total())
    # scipy.optimize is slow to import, and most tasks never come here
    from scipy.optimize import linear_sum_assignment

    (starts, ends), (claimed_starts, claimed_ends) = left[0].T, left[1].T
    overlap = (starts[:, None] < claimed_ends) & (claimed_starts < ends[:, None])
    pairs = linear_sum_assignment(overlap, maximize=True)
    return float(both.total() + PARTIAL_CREDIT * overlap[pairs].sum())

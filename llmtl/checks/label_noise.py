"""Examples whose label is probably wrong, by confident learning with a bag-of-words classifier.

After Northcutt, Jiang and Chuang 2021, "Confident Learning: Estimating Uncertainty in Dataset Labels"
(https://arxiv.org/abs/1911.00068). Written out here because the library by its authors, cleanlab, is under the AGPL.
Not covered: the test set, which stays sealed; correcting labels.
"""

import warnings
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmtl.checks.finding import Finding, Level
from llmtl.quiet import few_per_label
from llmtl.task import Example, references

FEW_LABELS, WEAK_CLASSIFIER = "few_labels", "weak_classifier"
"""The codes of findings that say why labels were not checked."""
FOLDS = 5
MOST_EXAMPLES = 10_000
_MOST_WORDS = 2_000
"""Keeps the check near ten seconds on one core for 7,000 examples of 77 labels, where word pairs without a limit took
14 times as long."""
LOWEST_SKILL = 0.5
"""Confident learning trusts the classifier where it is sure. One less than halfway from chance (0) to perfect (1), in
recall averaged over labels, says nothing about labels; plain accuracy would let a constant answer pass (our choice)."""
WARNING_SHARE = 0.03
"""From this share of suspects on the finding is a warning. Ten well-known test sets have 3.3% wrong labels on average
(Northcutt, Athalye and Mueller 2021, https://arxiv.org/abs/2103.14749)."""


def check_label_noise(examples: Sequence[Example], *, seed: int = 0) -> list[Finding]:
    """Report the suspects, by id, most suspicious first; nothing when there are none.

    Give train and dev; of more than 10,000 examples the first are taken. Labels with fewer than 5 examples (one a fold)
    are left out. Returns information that the check was skipped when fewer than two labels remain, or when the
    classifier is too weak to judge labels.
    """
    from sklearn.metrics import balanced_accuracy_score

    counts = Counter(references(examples[:MOST_EXAMPLES]))
    labels = sorted(label for label, count in counts.items() if count >= FOLDS)
    examples = [example for example in examples[:MOST_EXAMPLES] if example.reference in set(labels)]
    if len(labels) < 2:
        return [_skipped(f"fewer than two labels have {FOLDS} examples in train and dev", FEW_LABELS)]
    given = np.array([labels.index(example.reference) for example in examples])
    probabilities = _held_out_probabilities([example.text for example in examples], given, seed=seed)
    with few_per_label():
        skill = float(balanced_accuracy_score(given, probabilities.argmax(axis=1), adjusted=True))
    if skill < LOWEST_SKILL:
        skill = max(0.0, skill)
        reason = f"a bag of words gets only {skill:.0%} of the way from chance to perfect"
        return [_skipped(reason, WEAK_CLASSIFIER, skill)]
    suspects = confident_suspects(given, probabilities)
    if not len(suspects):
        return []
    share = len(suspects) / len(examples)
    first = examples[suspects[0]]
    likely = labels[int(probabilities[suspects[0]].argmax())]
    return [
        Finding(
            "label-noise",
            Level.WARNING if share >= WARNING_SHARE else Level.INFO,
            f"{len(suspects):,} of {len(examples):,} train and dev examples ({share:.1%}) may carry a wrong label, "
            f"first '{first.id}' (labelled '{first.reference}', rather '{likely}'); read them over.",
            tuple(examples[position].id for position in suspects),
        )
    ]


def confident_suspects(given: NDArray[np.int64], probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
    """Find the positions of probably wrong labels, most suspicious first.

    `given`: N class numbers; `probabilities`: held-out, shape (N, C). The threshold of class j is the mean probability
    of j over examples labelled j. An example is counted for the likeliest class whose threshold it reaches, and is
    suspect if that is not its own (the off-diagonal of the confident joint, equation 1 of the paper), unless its own is
    the likeliest of all. Suspects are ranked by the normalised margin: the given label's probability minus that of the
    likeliest other.
    """
    classes = probabilities.shape[1]
    thresholds = np.array([probabilities[given == label, label].mean() for label in range(classes)])
    reached = np.where(probabilities >= thresholds, probabilities, -np.inf)
    counted = reached.argmax(axis=1)
    suspect = np.isfinite(reached.max(axis=1)) & (counted != given) & (probabilities.argmax(axis=1) != given)
    own = probabilities[np.arange(len(given)), given]
    others = probabilities.copy()
    others[np.arange(len(given)), given] = -np.inf
    margin = own - others.max(axis=1)
    positions = np.flatnonzero(suspect)
    return np.asarray(positions[np.argsort(margin[positions], kind="stable")], dtype=np.int64)


def _held_out_probabilities(texts: list[str], given: NDArray[np.int64], *, seed: int) -> NDArray[np.float64]:
    """Return class probabilities of each text by a TF-IDF logistic regression that was fitted without it."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings(), few_per_label():
        # Probabilities just short of convergence are as good for ranking.
        warnings.simplefilter("ignore", ConvergenceWarning)
        found = cross_val_predict(_classifier(), texts, given, cv=folds, method="predict_proba")
    return np.asarray(found, dtype=np.float64)


def _classifier() -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # Punctuation marks count as words, so that no set of texts is without any.
    words = TfidfVectorizer(token_pattern=r"\w+|[^\w\s]", max_features=_MOST_WORDS, sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=100))


def _skipped(reason: str, code: str, value: float | None = None) -> Finding:
    message = f"Labels were not checked for errors: {reason}."
    return Finding("label-noise", Level.INFO, message, code=code, value=value)

"""Every measure against its reference library on random answers, failures included."""

import itertools

import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics import f1_score as seqeval_f1
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import MultiLabelBinarizer

from llmtl.answers import Span, write_labels, write_ranking, write_spans
from llmtl.errors import DataError
from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.extraction import EXTRACTION
from llmtl.kinds.generation import GENERATION
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.kinds.table import KINDS
from llmtl.kinds.text_retrieval import RETRIEVAL
from llmtl.task import Metric

LABELS = ["a", "b", "c", "d", "rare"]
TYPES = ["date", "name", "time"]
WORDS = ["the", "cat", "sat", "on", "a", "mat", "at", "noon", "today", "."]
SEEDS = range(12)


def random_sets(rng, n):
    return [{label for label in LABELS[:4] if rng.random() < 0.35} for _ in range(n)]


def random_tags(rng, *, words):
    """Return the BIO tags and the spans of some words, each four characters wide; spans are word ranges."""
    tags, spans, at = ["O"] * words, [], 0
    while at < words:
        length = int(rng.integers(1, 4))
        if rng.random() < 0.4 and at + length <= words:
            kind = str(rng.choice(TYPES))
            tags[at : at + length] = [f"B-{kind}", *[f"I-{kind}"] * (length - 1)]
            spans.append(Span(4 * at, 4 * (at + length), kind, "x" * 4 * length))
            at += length
        else:
            at += 1
    return tags, spans


def mutated(rng, tags, spans):
    """Return another tagging that agrees with the first one about half of the time."""
    return (tags, spans) if rng.random() < 0.5 else random_tags(rng, words=len(tags))


def random_texts(rng, n):
    def text():
        return " ".join(rng.choice(WORDS, int(rng.integers(1, 14))))

    references = [[text() for _ in range(int(rng.integers(1, 4)))] for _ in range(n)]
    answers = [several[0] if rng.random() < 0.3 else text() for several in references]
    return references, [None if rng.random() < 0.1 else answer for answer in answers]


def text_measure(metric, references):
    firsts, others = [several[0] for several in references], [several[1:] for several in references]
    return GENERATION.measure(metric, firsts, alternatives=others)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_label_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    references, answers = (rng.choice(LABELS[:4], 40).tolist() for _ in range(2))
    answers[0] = None
    named = [answer or "<failed>" for answer in answers]
    present = sorted({*references, *answers[1:]})
    made = {
        metric: CLASSIFICATION.measure(metric, references, labels=LABELS).score(answers)
        for metric in CLASSIFICATION.metrics
    }
    expected = f1_score(references, named, labels=present, average="macro", zero_division=0)
    assert made[Metric.MACRO_F1] == pytest.approx(expected)
    assert made[Metric.ACCURACY] == pytest.approx(accuracy_score(references, named))


@pytest.mark.parametrize("seed", SEEDS)
def test_multi_label_scores_are_those_of_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, guess = random_sets(rng, 30), random_sets(rng, 30)
    guess = [one if rng.random() < 0.5 else two for one, two in zip(truth, guess, strict=True)]
    references = [write_labels(one, LABELS) for one in truth]
    answers = [write_labels(one, LABELS) for one in guess]
    # a failure counts as no label at all
    failed = next(row for row, one in enumerate(truth) if one)
    guess[failed], answers[failed] = set(), None
    both = MultiLabelBinarizer(classes=LABELS).fit([LABELS])
    arrays = both.transform(truth), both.transform(guess)
    made = {
        metric: MULTI_LABEL.measure(metric, references, labels=LABELS).score(answers) for metric in MULTI_LABEL.metrics
    }
    assert made[Metric.MICRO_F1] == pytest.approx(f1_score(*arrays, average="micro"))
    assert made[Metric.MACRO_F1] == pytest.approx(f1_score(*arrays, average="macro", zero_division=np.nan))
    assert made[Metric.ACCURACY] == pytest.approx(accuracy_score(*arrays))


@pytest.mark.parametrize("seed", SEEDS)
def test_strict_span_scores_are_those_of_seqeval(seed):
    rng = np.random.default_rng(seed)
    truth = [random_tags(rng, words=12) for _ in range(20)]
    guess = [mutated(rng, *one) for one in truth]
    tags = [[one for one, _ in both] for both in (truth, guess)]
    references, answers = ([write_spans(spans) for _, spans in both] for both in (truth, guess))
    for metric, average in ((Metric.MICRO_F1, "micro"), (Metric.MACRO_F1, "macro")):
        made = EXTRACTION.measure(metric, references, labels=TYPES).score(answers)
        assert made == pytest.approx(seqeval_f1(*tags, average=average))
    whole = EXTRACTION.measure(Metric.EXACT_MATCH, references, labels=TYPES)
    assert whole.score(answers) == pytest.approx(np.mean([one == two for one, two in zip(*tags, strict=True)]))


def best_pairing(expected, claimed):
    """Return the credit of the best pairing, by trying all of them."""
    if len(expected) > len(claimed):
        expected, claimed = claimed, expected
    return max(
        (sum(map(credit, expected, chosen)) for chosen in itertools.permutations(claimed, len(expected))), default=0.0
    )


def credit(one, two):
    if one.type != two.type or one.end <= two.start or two.end <= one.start:
        return 0.0
    return 1.0 if (one.start, one.end) == (two.start, two.end) else 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_partial_span_f1_is_that_of_the_best_one_to_one_pairing(seed):
    rng = np.random.default_rng(seed)

    def spans(most):
        starts = rng.integers(0, 12, int(rng.integers(0, most + 1)))
        made = {(int(s), int(s + rng.integers(1, 6)), str(rng.choice(TYPES[:2]))) for s in starts}
        return [Span(*each, "x") for each in made]

    truth, guess = [spans(4) for _ in range(25)], [spans(5) for _ in range(25)]
    measure = EXTRACTION.measure(Metric.PARTIAL_F1, [write_spans(one) for one in truth], labels=TYPES)
    hits = sum(map(best_pairing, truth, guess))
    sizes = sum(map(len, truth)) + sum(map(len, guess))
    assert measure.score([write_spans(one) for one in guess]) == pytest.approx(2 * hits / sizes)


def test_fields_are_compared_wherever_they_stand_and_as_often_as_they_occur():
    reference = write_spans([Span(0, 4, "name", "Anna"), Span(9, 13, "name", "Anna"), Span(20, 25, "date", "today")])
    measure = EXTRACTION.measure(Metric.FIELD_F1, [reference])
    moved = write_spans([Span(9, 13, "name", "Anna"), Span(30, 35, "date", "today"), Span(0, 5, "name", "today")])
    assert measure.score([moved]) == pytest.approx(2 * 2 / 6)
    assert measure.score([reference]) == 1


@pytest.mark.parametrize("seed", SEEDS)
def test_text_scores_are_those_of_sacrebleu_and_rouge_score(seed):
    rng = np.random.default_rng(seed)
    references, answers = random_texts(rng, int(rng.integers(1, 25)))
    texts = [answer or "" for answer in answers]
    streams = [[several[rank] if rank < len(several) else None for several in references] for rank in range(3)]
    chrf, bleu = text_measure(Metric.CHRF, references), text_measure(Metric.BLEU, references)
    assert chrf.score(answers) == pytest.approx(sacrebleu.corpus_chrf(texts, streams).score / 100)
    assert bleu.score(answers) == pytest.approx(sacrebleu.corpus_bleu(texts, streams, force=True).score / 100)
    pairs = list(zip(texts, references, strict=True))
    each = [sacrebleu.sentence_chrf(text, several).score / 100 for text, several in pairs]
    assert chrf.each(answers) == pytest.approx(each)
    each = [sacrebleu.sentence_bleu(text, several).score / 100 for text, several in pairs]
    assert bleu.each(answers) == pytest.approx(each)
    rouge = [RougeScorer(["rougeL"]).score_multi(several, text)["rougeL"].fmeasure for text, several in pairs]
    assert text_measure(Metric.ROUGE_L, references).score(answers) == pytest.approx(np.mean(rouge))
    right = [answer in several for answer, several in zip(answers, references, strict=True)]
    assert text_measure(Metric.EXACT_MATCH, references).score(answers) == pytest.approx(np.mean(right))


def references_of(kind):
    rng = np.random.default_rng(7)
    if kind is CLASSIFICATION:
        return rng.choice(LABELS, 30).tolist()
    if kind is MULTI_LABEL:
        return [write_labels(one, LABELS) for one in random_sets(rng, 30)]
    if kind is EXTRACTION:
        return [write_spans(random_tags(rng, words=9)[1]) for _ in range(30)]
    if kind is RETRIEVAL:
        return [write_ranking(rng.choice(WORDS, 1 + row % 4, replace=False)) for row in range(30)]
    return [" ".join(rng.choice(WORDS, 9)) for _ in range(30)]


@pytest.mark.parametrize(("kind", "metric"), [(kind, metric) for kind in KINDS for metric in kind.metrics])
def test_right_answers_score_one_failures_zero_and_weights_are_repetition(kind, metric):
    references = references_of(kind)
    measure = kind.measure(metric, references)
    assert measure.metric is metric
    assert measure.score(references) == pytest.approx(1)
    assert measure.each(references) == pytest.approx(np.ones(30))
    assert measure.value(measure.without_hits(measure.counts(references).sum(axis=0))) == 0
    # "[]" is right for some examples, and a failure is not
    assert measure.score([None] * 30) == 0
    assert not measure.each([None] * 30).any()
    # a failure is not repeated where nothing was to be found: its charge is shared out like the whole set's references
    answers = [None if row % 3 == 0 and one != "[]" else references[row * 7 % 30] for row, one in enumerate(references)]
    weights = np.random.default_rng(1).integers(0, 3, 30)
    repeated = kind.measure(metric, list(np.repeat(references, weights)))
    expected = repeated.score([answer for answer, n in zip(answers, weights, strict=True) for _ in range(n)])
    totals = np.stack([weights, 2 * weights]) @ measure.counts(answers)
    assert measure.value(totals) == pytest.approx([expected, expected])


@pytest.mark.parametrize("metric", [Metric.MICRO_F1, Metric.MACRO_F1])
def test_a_failure_where_nothing_was_to_be_found_costs_one_false_item(metric):
    references = ['["a"]', "[]"]
    measure = MULTI_LABEL.measure(metric, references, labels=["a", "b"])
    assert measure.score(['["a"]', "[]"]) == 1
    assert measure.score(['["a"]', None]) == pytest.approx(measure.score(['["a"]', '["a"]'])) == pytest.approx(2 / 3)


def test_a_label_that_the_task_does_not_have_fails_the_whole_answer():
    measure = MULTI_LABEL.measure(Metric.MICRO_F1, ['["a", "b"]'])
    assert measure.score(['["a", "other"]']) == measure.score([None]) == 0


@pytest.mark.parametrize(
    ("metric", "kind", "references", "labels", "message"),
    [
        (Metric.BLEU, EXTRACTION, ["[]"], [], "bleu does not score spans"),
        (Metric.ACCURACY, CLASSIFICATION, [], [], "nothing to score"),
        (Metric.MICRO_F1, MULTI_LABEL, ['["z"]'], ["a"], "'z' is not one of the task's labels"),
    ],
)
def test_what_cannot_be_scored_is_refused(metric, kind, references, labels, message):
    with pytest.raises(DataError, match=message):
        kind.measure(metric, references, labels=labels)

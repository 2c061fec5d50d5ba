"""The `evaluate` modules of extraction, multi-label and generation against their reference libraries."""

import evaluate
import numpy as np
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from seqeval.metrics import f1_score as seqeval_f1
from sklearn.metrics import accuracy_score, f1_score

from llmtl.answers import Span, write_labels, write_spans
from llmtl.metrics import modules

TYPES = ["date", "name"]


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a metric must not open a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)


def computed(module, answers, references) -> float:
    assert isinstance(module(), evaluate.Metric)
    [score] = module().compute(predictions=answers, references=references).values()
    return score


@pytest.mark.parametrize("seed", range(4))
def test_label_modules(seed):
    rng = np.random.default_rng(seed)
    truth, guess = rng.integers(0, 2, (2, 20, 3))
    names = np.array(["a", "b", "c"])
    references, answers = ([write_labels(names[row == 1], names) for row in rows] for rows in (truth, guess))
    assert computed(modules.SubsetAccuracy, answers, references) == pytest.approx(accuracy_score(truth, guess))
    assert computed(modules.LabelsMicroF1, answers, references) == pytest.approx(
        f1_score(truth, guess, average="micro")
    )
    assert computed(modules.LabelsMacroF1, answers, references) == pytest.approx(
        f1_score(truth, guess, average="macro")
    )


@pytest.mark.parametrize("seed", range(4))
def test_span_modules(seed):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, 3, (2, 20, 8))  # no span, or one of a word of either type
    tags = [[["O", "B-date", "B-name"][kind] for kind in row] for rows in drawn for row in rows]
    references, answers = (
        [
            write_spans(Span(at, at + 1, TYPES[kind - 1], "x") for at, kind in enumerate(row.tolist()) if kind)
            for row in rows
        ]
        for rows in drawn
    )
    micro, macro = (seqeval_f1(tags[:20], tags[20:], average=average) for average in ("micro", "macro"))
    assert computed(modules.SpanF1, answers, references) == pytest.approx(micro)
    assert computed(modules.SpanMacroF1, answers, references) == pytest.approx(macro)
    # spans of one character either match or do not overlap
    assert computed(modules.PartialSpanF1, answers, references) == pytest.approx(micro)
    assert computed(modules.FieldF1, answers, references) >= micro
    assert computed(modules.SpanMatch, references, references) == 1


@pytest.mark.parametrize("seed", range(4))
def test_text_modules(seed):
    rng = np.random.default_rng(seed)

    def text():
        return " ".join(rng.choice(["the", "cat", "sat", "on", "mat", "there"], int(rng.integers(4, 9))))

    references = [[text(), text()] for _ in range(15)]
    answers = [text() for _ in range(14)] + [references[14][1]]
    streams = [list(stream) for stream in zip(*references, strict=True)]
    assert computed(modules.ChrF, answers, references) == pytest.approx(
        sacrebleu.corpus_chrf(answers, streams).score / 100
    )
    assert computed(modules.Bleu, answers, references) == pytest.approx(
        sacrebleu.corpus_bleu(answers, streams).score / 100
    )
    pairs = zip(answers, references, strict=True)
    rouge = [RougeScorer(["rougeL"]).score_multi(several, text)["rougeL"].fmeasure for text, several in pairs]
    assert computed(modules.RougeL, answers, references) == pytest.approx(np.mean(rouge))
    assert computed(modules.TextMatch, answers, references) >= 1 / 15


def test_a_failure_is_an_error_everywhere():
    assert computed(modules.SpanF1, [None], [write_spans([Span(0, 1, "date", "x")])]) == 0
    assert computed(modules.SubsetAccuracy, [None, "[]"], ["[]", "[]"]) == 0.5
    assert computed(modules.TextMatch, [None], [["a"]]) == computed(modules.ChrF, [None], [["a"]]) == 0

"""Long texts where time is short: the same first windows of each, without cutting the rest into tokens."""

from time import perf_counter

import numpy as np
import pytest

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.reach import Lengths, reach
from llmtl.encoders.sentence import SentenceEncoder

WORDS = "the parcel that you sent has not arrived yet and nobody answers the telephone when I call "
LONG = {
    "words": WORDS * 200,
    "lines": "one line\n" * 3_000,
    "one word": "x" * 20_000,
    "without spaces": "\u4f60\u597d\u4e16\u754c" * 3_000,
    "mostly spaces": "a" + " " * 30_000 + WORDS * 20,
    "zero width": "\u200b" * 20_000 + WORDS * 20,
    "short": "a word",
    "empty": "",
}


@pytest.fixture(scope="module")
def encoder(tiny_encoder):
    return SentenceEncoder.load(EncoderSource(str(tiny_encoder)))


@pytest.mark.parametrize("most", [1, 3])
def test_the_first_windows_are_those_of_the_whole_text(encoder, most):
    texts = list(LONG.values())
    whole = encoder._windows(texts)
    for at, (name, found) in enumerate(zip(LONG, encoder._first_windows(texts, most), strict=True)):
        all_of_it = [window for window in whole if window.text == at]
        beginning, windows = found
        assert windows[:most] == all_of_it[:most], name
        assert (len(windows) > most) == (len(all_of_it) > most), name
        assert LONG[name].startswith(beginning), name


def test_only_a_beginning_is_cut_into_tokens(encoder, monkeypatch):
    asked = []
    plain = encoder._windows
    monkeypatch.setattr(encoder, "_windows", lambda texts: asked.extend(texts) or plain(texts))
    vectors = encoder.encode([LONG["words"], "short"], most=2)
    assert max(map(len, asked)) < len(LONG["words"]) / 10
    assert np.isfinite(vectors).all()
    assert encoder.count_long([LONG["words"], "short"]) == 1
    first, second = encoder.beginnings([LONG["words"], "short"])
    assert (LONG["words"].startswith(first), second) == (True, "short")
    assert encoder.encode([first], most=1).tolist() == encoder.encode([LONG["words"]], most=1).tolist()


def test_windows_are_told_from_characters(encoder):
    texts = [LONG["words"]] * 3 + ["a word"] * 3
    told = Lengths.of(texts, encoder)
    counted = [sum(window.text == at for window in encoder._windows(texts)) for at in range(len(texts))]
    assert told.windows[3:] == (1, 1, 1)
    assert told.windows[0] == pytest.approx(counted[0], rel=0.1)
    assert told.read(1) < told.read(2) < told.read()
    assert Lengths.of(["a word"] * 5, encoder).stretch == 1


def test_the_windows_follow_from_the_time(encoder):
    texts = [LONG["words"]] * 8 + ["a word"] * 8
    assert reach(encoder, texts, None).most is None
    assert reach(encoder, texts, perf_counter() + 600).most is None
    assert reach(encoder, ["a word"] * 8, perf_counter() - 1).most is None
    late = reach(encoder, texts, perf_counter() - 1)
    assert (late.most, late.done) == (1, 16)
    assert late.planned == Lengths.of(texts, encoder).count()

"""Texts cut into windows, and words found again in them, with the real tokenizer of MiniLM and one of bytes."""

from itertools import pairwise

import pytest

from llmtl.encoders.network import load_tokenizer
from llmtl.encoders.units import units_in, units_of
from llmtl.encoders.windows import cut, evenly
from tests.support.encoders import save_byte_tokenizer

TEXT = " ".join(f"i lost card number {at}" for at in range(40))


def words_of(text):
    """List the places of the words between spaces."""
    places, at = [], 0
    for word in text.split(" "):
        places.append((at, at + len(word)))
        at += len(word) + 1
    return places


@pytest.fixture(scope="module")
def tokenizer(tiny_encoder):
    return load_tokenizer(tiny_encoder)


def test_a_short_text_is_one_window_and_an_empty_one_too(tokenizer):
    short, empty = cut(["i lost my card", ""], tokenizer, window=16)
    assert [len(each) for each in (short, empty)] == [1, 1]
    assert short[0].places == ((0, 0), (0, 1), (2, 6), (7, 9), (10, 14), (0, 0))
    assert len(empty[0]) == 2
    assert cut([], tokenizer, window=16) == []


def test_windows_overlap_and_together_show_the_whole_text(tokenizer):
    [windows] = cut([TEXT], tokenizer, window=32)
    assert len(windows) > 5
    assert all(len(window) <= 32 for window in windows)
    shown = [{place for place in window.places if place != (0, 0)} for window in windows]
    assert all(one & two for one, two in pairwise(shown))
    [whole] = cut([TEXT], tokenizer, window=4096)
    assert set().union(*shown) == {place for place in whole[0].places if place != (0, 0)}


def test_every_word_of_a_long_text_is_one_unit_read_where_it_has_most_context(tokenizer):
    [windows] = cut([TEXT], tokenizer, window=32)
    units = units_of(words_of(TEXT), windows)
    assert [(unit.start, unit.end) for unit in units] == words_of(TEXT)
    for unit in units:
        assert windows[unit.window].places[unit.token][0] == unit.start
        others = [
            min(other.token, len(window) - 1 - other.token)
            for number, window in enumerate(windows)
            for other in units_in(words_of(TEXT), window, number=number)
            if other.start == unit.start
        ]
        assert min(unit.token, len(windows[unit.window]) - 1 - unit.token) == max(others)


def test_words_within_one_token_are_one_unit_and_words_without_a_token_none(tmp_path):
    tokenizer = load_tokenizer(save_byte_tokenizer(tmp_path, merged=":-)"))
    [[window]] = cut(["at :-)"], tokenizer, window=16)
    units = units_in([(0, 2), (3, 4), (4, 5), (5, 6)], window)
    assert [(unit.start, unit.end) for unit in units] == [(0, 2), (3, 6)]
    assert units_in([(90, 95)], window) == []


def test_tokenizers_of_robertas_family_see_a_space_before_the_first_word(tmp_path):
    tokenizer = load_tokenizer(save_byte_tokenizer(tmp_path, merged=":-)"))
    [[first], [later]] = cut([":-)", "at :-)"], tokenizer, window=16)
    assert first.ids[1] == later.ids[-2]


def test_parts_are_taken_evenly():
    assert evenly(range(5), 8) == range(5)
    assert evenly(range(9), 3) == [0, 4, 8]
    assert evenly(range(9), 1) == [0]

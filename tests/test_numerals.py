"""Numbers as people say them, with the noun and the verb that go with them."""

import pytest

from llmtl.numerals import HAS, IS, plural, some_of, with_minus


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (plural(1, "example"), "1 example"),
        (plural(0, "example"), "0 examples"),
        (plural(12_300, "example"), "12,300 examples"),
        (plural(1, "span", ("overlaps", "overlap")), "1 span overlaps"),
        (plural(3, "span", ("overlaps", "overlap")), "3 spans overlap"),
        (some_of(1, 4, "label", HAS), "1 of 4 labels has"),
        (some_of(2, 1_000, "label", HAS), "2 of 1,000 labels have"),
        (some_of(1, 1, "text", IS), "1 of 1 text is"),
        (some_of(0, 9, "row"), "0 of 9 rows"),
        (with_minus("-1.2"), "\u22121.2"),
    ],
)
def test_words_go_with_their_number(said, expected):
    assert said == expected

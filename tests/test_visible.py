"""What would steer a terminal is shown as its code, and all else as it is."""

import pytest

from llmtl.visible import visible


@pytest.mark.parametrize("text", ["plain", "naïve café „quoted“ 日本 👩‍🚀", "a\tb\nc", ""])
def test_words_stay_as_they_are(text):
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "\\x1b[2Jgone"),
        ("a\rb", "a\\rb"),
        ("\x9b31m", "\\x9b31m"),
        ("abc\u202egnp.exe", "abc\\u202egnp.exe"),
        ("half \udcff", "half \\udcff"),
    ],
)
def test_what_steers_is_shown(text, shown):
    assert visible(text) == shown

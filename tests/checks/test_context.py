import pytest

from llmtl.checks import Level, check_context
from llmtl.errors import ContextLengthError
from llmtl.task import Example

INSTRUCTION = 10


def count(text: str) -> int:
    """Return a prompt's tokens when each word is one and the instruction ten."""
    return INSTRUCTION + len(text.split())


def examples(*lengths: int) -> list[Example]:
    return [Example(str(number), "word " * length, "a") for number, length in enumerate(lengths)]


def test_prompts_with_room_have_no_finding():
    # Longest: 10 + 6 + 2; four demonstrations of 5 + 2 tokens beside it: 46.
    assert check_context(examples(5, 5, 6), count, answer_tokens=2, context_length=46) == []


def test_examples_without_room_for_demonstrations_are_listed_longest_first():
    (finding,) = check_context(examples(6, 5, 5, 7), count, answer_tokens=2, context_length=47)
    # Median 5.5, so that demonstrations take 30: 10 + 7 + 2 + 30 is above 47, as is 10 + 6 + 2 + 30.
    assert finding.level is Level.WARNING
    assert finding.ids == ("3", "0")
    assert "50.0%" in finding.message


def test_the_longest_example_must_fit():
    assert check_context(examples(5, 8), count, answer_tokens=2, context_length=20)
    with pytest.raises(ContextLengthError) as caught:
        check_context(examples(5, 9, 8, 10), count, answer_tokens=2, context_length=20)
    message = str(caught.value)
    assert "Example '3' needs 22 tokens" in message
    assert "context has 20" in message
    assert "2 of 4 examples, 50.0%" in message
    assert "\n" not in message
    assert caught.value.exit_code == 2

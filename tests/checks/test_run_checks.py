import pytest

from llmtl.checks import Level, run_checks
from llmtl.data import Cleaning, DataConfig, LoadedData, split_examples
from llmtl.errors import ContextLengthError
from llmtl.task import Example, Task

TASK = Task("t", ("a", "b"))


@pytest.fixture
def split(make_examples):
    examples = (*make_examples("a", 60), *make_examples("b", 15))
    return split_examples(LoadedData(examples, None, TASK.labels, Cleaning(75)), DataConfig(path="any.csv"))


def test_findings_come_in_order_and_none_stops_a_split_of_ours(split):
    cleaning = Cleaning(80, duplicates=("1",), conflicts=("2", "3"))
    findings = run_checks(
        split,
        TASK,
        cleaning=cleaning,
        count_prompt_tokens=lambda text: 10 + len(text.split()),
        answer_tokens=2,
        context_length=40,
    )
    names = [finding.check for finding in findings]
    assert names == ["duplicates", "label-noise", "imbalance", "truncation", "label-noise"]
    assert not any(finding.level is Level.STOP for finding in findings)


def test_the_context_is_checked_only_when_asked(split):
    assert "truncation" not in [finding.check for finding in run_checks(split, TASK)]
    with pytest.raises(ContextLengthError):
        run_checks(split, TASK, count_prompt_tokens=len, answer_tokens=2, context_length=20)


def test_a_leak_stops(split):
    leaked = type(split)(split.train, split.dev, (*split.test, Example("copy", split.train[0].text, "a")))
    stops = [finding for finding in run_checks(leaked, TASK) if finding.level is Level.STOP]
    assert [finding.ids for finding in stops] == [("copy",)]

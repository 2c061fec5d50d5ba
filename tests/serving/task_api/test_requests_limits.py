import pytest

from llmtl.errors import ServingError
from llmtl.serving.task_api.interface import RequestLimits


def test_limits_survive_the_environment():
    limits = RequestLimits(max_body_bytes=5, max_inputs=6, max_characters=7, max_waiting=8, max_wait_seconds=9)
    variables = limits.to_environment()
    assert variables == {
        "LLMTL_MAX_BODY_BYTES": "5",
        "LLMTL_MAX_INPUTS": "6",
        "LLMTL_MAX_CHARACTERS": "7",
        "LLMTL_MAX_WAITING": "8",
        "LLMTL_MAX_WAIT_SECONDS": "9",
    }
    assert RequestLimits.from_environment({**variables, "LLMTL_BUNDLE": "x"}) == limits


def test_what_the_environment_does_not_set_is_the_default():
    assert RequestLimits.from_environment({"LLMTL_MAX_INPUTS": "2"}) == RequestLimits(max_inputs=2)


@pytest.mark.parametrize(("value", "reason"), [("many", "'many'; give a whole number"), ("0", "is 0; give at least 1")])
def test_a_wrong_limit_is_named(value, reason):
    with pytest.raises(ServingError, match=reason):
        RequestLimits.from_environment({"LLMTL_MAX_INPUTS": value})

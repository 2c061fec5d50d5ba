"""The hidden-size rule at published sizes."""

import pytest

from llmtl.tuning.learning_rate import rate_for_hidden_size


@pytest.mark.parametrize(
    ("hidden_size", "expected"),
    [(4096, "2.9e-04"), (8192, "1.7e-04"), (2000, "5.0e-04"), (2048, "4.9e-04")],  # LLaMA 8B, 70B, reference size, 1B
)
def test_rate_at_llama_sizes(hidden_size, expected):
    assert f"{rate_for_hidden_size(hidden_size):.1e}" == expected


def test_halving_the_hidden_size_raises_the_rate_by_two_to_the_exponent():
    assert rate_for_hidden_size(512) / rate_for_hidden_size(1024) == pytest.approx(2**0.781)

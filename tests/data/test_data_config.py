import pytest
from pydantic import ValidationError

from llmtl.data import DataConfig


def test_fractions_sum_to_one():
    assert DataConfig(path="a.csv").fractions == pytest.approx((0.5, 0.2, 0.3))
    assert DataConfig(path="a.csv", test_path="b.csv").fractions == pytest.approx((0.8, 0.2, 0.0))


@pytest.mark.parametrize(
    "changes",
    [
        {"dev_fraction": 0.5, "test_fraction": 0.5},
        {"dev_fraction": 0},
        {"near_duplicate_threshold": 0.2},
        {"max_test": 1},
        {"colour": "red"},
        {"path": ""},
    ],
)
def test_impossible_values_are_refused(changes):
    with pytest.raises(ValidationError):
        DataConfig(**{"path": "a.csv", **changes})

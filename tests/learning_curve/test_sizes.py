from itertools import pairwise

import pytest

from llmtl.learning_curve import subset_sizes


@pytest.mark.parametrize(("available", "labels"), [(160, 8), (5000, 77), (200, 5)])
def test_sizes_are_evenly_spaced_on_a_logarithmic_scale(available: int, labels: int) -> None:
    sizes = subset_sizes(available, points=5, labels=labels)
    assert len(sizes) == 5
    assert sizes[-1] == available
    assert sizes[0] >= 2 * labels
    ratios = [after / before for before, after in pairwise(sizes)]
    assert max(ratios) / min(ratios) < 1.12


def test_few_examples_make_few_sizes() -> None:
    assert subset_sizes(10, points=5, labels=5) == (10,)
    assert subset_sizes(12, points=5, labels=2) == (12,)
    assert subset_sizes(17, points=5, labels=2) == (10, 13, 17)

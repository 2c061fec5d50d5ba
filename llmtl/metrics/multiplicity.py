"""P-values corrected for making several comparisons at once.

Not covered: simultaneous confidence intervals; the intervals that llmtl reports are one by one.
"""

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm-adjusted p-values in the given order: comparing each with alpha keeps the family-wise error at alpha.

    Holm (1979), "A Simple Sequentially Rejective Multiple Test Procedure": the i-th smallest of m p-values is
    multiplied by m - i + 1, and no adjusted value is smaller than the one before it.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return adjusted

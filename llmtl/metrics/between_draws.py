"""What one draw leaves open: how far another training, other demonstrations or another reply would move a score.

Who was fitted and tested with one draw alone has intervals and p-values that hold for that draw. Where it matters and
there is no second one, they are widened by a stated standard deviation between draws: a share of sqrt(s (1 - s)) for a
score s, since no score moves far near 0 or 1.

    demonstrations   0.17: the root mean square over 20 arms of Llama-2-7B with random demonstrations, noise of the
                     examples taken off (2 data sets, 1 to 200 shots, 5 draws each, 250 examples; Bertsch et al. 2024,
                     "In-Context Learning with Long-Context Models"); `evals/aa.py` works it out. The median arm has
                     0.09, the worst 0.37. Of demonstrations retrieved by similarity at least four draws of five
                     agree there in everything.
    training         0.17: the root mean square of six published figures: 3 to 6 points at 8 examples per label of
                     topics and sentiments, 7 at 32 and 64 of SST-5, 17 at 64 of emotion (RoBERTa-large; Tunstall et
                     al. 2022, "Efficient Few-Shot Learning Without Prompts"), 2 of a student on Banking77, 0.1 BLEU of
                     LoRA on E2E (Hu et al. 2022, "LoRA")
    replies          0.05: 1.5 to 2 points between repeats of the same prompts, at about 0.85 right, as users of hosted
                     models and batched servers report

At 0.85 right, 0.17 is 6 points. The spread differs from arm to arm and was measured with five draws each, so ends and
p-values are those of a t distribution with 4 degrees of freedom, more where examples contribute (Satterthwaite 1946).
Intervals are widened by adding the squares of half-widths (MOVER: Zou & Donner 2008, "Construction of confidence limits
about effect measures"), so that a skew interval stays so; the p-value by the standard error that it stands for. An
exact test is not exact any more.

Not covered: several draws, whose own spread is measured (`hierarchical`).
"""

import math
from collections.abc import Mapping
from dataclasses import replace

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from llmtl.metrics.intervals import Z_ONE_SIDED, Z_TWO_SIDED, Interval
from llmtl.metrics.paired import PairedDifference
from llmtl.values import Draw

STATED: Mapping[Draw, float] = {Draw.TRAINING: 0.17, Draw.DEMONSTRATIONS: 0.17, Draw.REPLIES: 0.05}
"""The standard deviation between draws as a share of sqrt(s (1 - s)); none where nothing varies or nothing is known."""
DEGREES = 4
"""Degrees of freedom of a stated variance: five draws behind each of those that were measured."""
WIDENED = ", widened by a stated spread between draws"


def stated_sd(draw: Draw, score: float, n: int) -> float:
    """Look up the standard deviation between draws of a score on n examples, for a draw that matters.

    A score of 0 or 1 on few examples is not taken at its word: one example more is right and one wrong.
    """
    likely = (n * score + 1) / (n + 2)
    return STATED[draw] * math.sqrt(likely * (1 - likely))


def widen(found: PairedDifference, sd: float, *, alpha: float = 0.05) -> PairedDifference:
    """Widen a comparison, p-value included, for draws that move the difference by `sd`.

    `alpha` is that of the comparison's `joint` interval.
    """
    if sd <= 0:
        return found
    degrees, joint = _degrees(found.standard_error, sd), float(ndtri(1 - alpha / 2))

    def end(value: float, z: float) -> float:
        reached = _widened(value - found.difference, sd, z=z, degrees=degrees)
        return min(1.0, max(-1.0, found.difference + reached))

    return replace(
        found,
        low=end(found.low, -Z_TWO_SIDED),
        high=end(found.high, Z_TWO_SIDED),
        at_least=end(found.at_least, -Z_ONE_SIDED),
        at_most=end(found.at_most, Z_ONE_SIDED),
        p=_p(found, sd, degrees),
        standard_error=math.hypot(found.standard_error, sd),
        draw_error=math.hypot(found.draw_error, sd),
        joint=(end(found.joint[0], -joint), end(found.joint[1], joint)),
        method=found.method + WIDENED,
    )


def widen_score(score: Interval, sd: float) -> Interval:
    """Widen the 95% interval of a score within 0 and 1."""
    if sd <= 0:
        return score
    degrees = _degrees((score.high - score.low) / (2 * Z_TWO_SIDED), sd)
    below = _widened(score.low - score.value, sd, z=-Z_TWO_SIDED, degrees=degrees)
    above = _widened(score.high - score.value, sd, z=Z_TWO_SIDED, degrees=degrees)
    return Interval(score.value, max(0.0, score.value + below), min(1.0, score.value + above))


def _widened(distance: float, sd: float, *, z: float, degrees: float) -> float:
    """Widen one end's distance from the estimate; `z` has its sign and its normal quantile."""
    stretch = float(stdtrit(degrees, ndtr(abs(z)))) / abs(z)
    return math.copysign(stretch * math.hypot(distance, z * sd), z)


def _degrees(error: float, sd: float) -> float:
    """Compute the degrees of freedom of error^2 + sd^2, of which only the latter is uncertain (Satterthwaite 1946)."""
    return DEGREES * (1 + (error / sd) ** 2) ** 2


def _p(found: PairedDifference, sd: float, degrees: float) -> float:
    """Compute the p-value with the standard error that the old one stands for, and the spread between draws."""
    if found.difference == 0 or found.p >= 1:
        return 1.0
    error = abs(found.difference) / -float(ndtri(found.p / 2))
    ratio = abs(found.difference) / math.hypot(error, sd)
    return max(found.p, min(1.0, 2 * float(stdtr(degrees, -ratio))))

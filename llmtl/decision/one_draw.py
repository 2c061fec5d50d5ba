"""What is not known of a strategy that was fitted or asked once: by how much another draw would move its score.

Not covered: what a draw moves (`llmtl.metrics.between_draws`), drawing again (`llmtl.pipeline.draws`), the words for it
(`llmtl.report`).
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from llmtl.measured.evaluation import Evaluation
from llmtl.metrics.between_draws import STATED, stated_sd
from llmtl.task import Draw, Metric


@dataclass(frozen=True)
class OneDraw:
    """There is one draw of a strategy of which a draw moves the score, by `sd` as is stated for its kind.

    Its interval, and the intervals and p-values of its comparisons, are widened by that.
    """

    strategy: str
    draw: Draw
    sd: float
    kind: Literal["one_draw"] = "one_draw"


@dataclass(frozen=True)
class UnknownDraws:
    """Prediction files have one draw of these strategies and do not say whether another would answer differently.

    Nothing is widened: intervals and p-values hold for that draw.
    """

    strategies: tuple[str, ...]
    kind: Literal["unknown_draws"] = "unknown_draws"


def sd_of_one_draw(evaluation: Evaluation, metric: Metric) -> float:
    """Return by how much another draw would move a score; 0 where it does not, and where several were measured."""
    return sd_at(evaluation, evaluation.scores[metric.value].value) if _moves(evaluation) else 0.0


def sd_at(evaluation: Evaluation, share: float) -> float:
    """Return by how much another draw would move a share of the examples, which is a score or goes as one does."""
    if not _moves(evaluation):
        return 0.0
    return stated_sd(evaluation.draw, share, evaluation.n) if evaluation.draw_sd is None else evaluation.draw_sd


def _moves(evaluation: Evaluation) -> bool:
    known = evaluation.draw_sd is not None or evaluation.draw in STATED
    return known and not evaluation.seed_predictions


def single_draws(
    test: Iterable[Evaluation], compared: Collection[str], metric: Metric
) -> tuple[OneDraw | UnknownDraws, ...]:
    """Say what to say of those that are compared and were drawn once."""
    once = [item for item in test if item.strategy in compared and not item.seed_predictions]
    spreads = ((item, sd_of_one_draw(item, metric)) for item in once)
    found: list[OneDraw | UnknownDraws] = [OneDraw(item.strategy, item.draw, sd) for item, sd in spreads if sd > 0]
    unknown = tuple(item.strategy for item in once if item.draw is Draw.UNKNOWN)
    return (*found, UnknownDraws(unknown)) if unknown else tuple(found)

"""All learning curves of a run: what `curve.json` holds.

Not covered: drawing them (`llmtl.report`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from llmtl.learning_curve.advice import Advice, advise
from llmtl.learning_curve.crossover import Crossover, crossover
from llmtl.learning_curve.forecast import Forecast, MeasuredCurve, forecast
from llmtl.learning_curve.labels_worth import LabelsWorth


@dataclass(frozen=True)
class LearningCurves:
    """The curves of a run by strategy, the advice for each, and where curves cross; `skipped` says what is missing.

    `metric` is the decision's, measured on `dev_examples`. `enough` is, for each curve that has one, the smallest size
    from which on every score was within the margin of the largest size's. `levels` are the scores of strategies that
    need no training examples. `focus` names the winner and its best rival on test, the winner first (of cascades their
    members); empty in what earlier versions wrote. `worth`: what pre-training is worth in labels, where a control ran.
    """

    metric: str
    target: float | None
    dev_examples: int
    forecasts: tuple[Forecast, ...]
    advice: Mapping[str, Advice]
    crossovers: tuple[Crossover, ...] = ()
    enough: Mapping[str, int] = field(default_factory=dict)
    levels: Mapping[str, float] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    focus: tuple[str, ...] = ()
    worth: tuple[LabelsWorth, ...] = ()

    @property
    def best(self) -> Forecast | None:
        """The curve of who comes first in `focus`; else the highest at its end, those with a forecast first."""
        by_name = {item.strategy: item for item in self.forecasts}
        leading = next((by_name[name] for name in self.focus if name in by_name), None)
        return leading or max(
            self.forecasts, key=lambda item: (item.refusal is None, item.points[-1].score), default=None
        )

    @property
    def sentence(self) -> str:
        """The advice of that curve, after why the winner has none; or why there is none at all."""
        if self.best is None:
            return "What more labels would bring was not measured." if self.skipped else ""
        advice = self.advice[self.best.strategy].text
        if not self.focus or self.best.strategy == self.focus[0]:
            return advice
        return f"{self._without_curve(self.focus[0])} {advice}"

    def _without_curve(self, name: str) -> str:
        if name in self.skipped:
            return f"No curve for {name}: {self.skipped[name]}."
        return f"{name} {'needs no training examples' if name in self.levels else 'has no learning curve'}."


CURVES: TypeAdapter[LearningCurves] = TypeAdapter(LearningCurves)
CURVE_FILE = "curve.json"


def conclude(
    measured: Sequence[MeasuredCurve],
    *,
    metric: str,
    target: float | None,
    margin: float,
    usd_per_label: float | None,
    prompting: Sequence[MeasuredCurve] = (),
    skipped: Mapping[str, str] | None = None,
    focus: Sequence[str] = (),
) -> LearningCurves:
    """Forecast measured curves, advise, and find crossovers with the best of `prompting`.

    A prompting strategy that needs no training examples has one point; one that needs them is in `measured` too.
    """
    forecasts = tuple(forecast(item, target=target) for item in measured)
    prompts = {item.strategy for item in prompting}
    trusted = {item.strategy for item in forecasts if item.refusal is None}
    learners = [item for item in measured if item.strategy in trusted - prompts]
    rivals = [item for item in prompting if len(item.points) == 1 or _usable(item.strategy, forecasts)]
    rival = max(rivals, key=lambda item: item.points[-1].score, default=None)
    return LearningCurves(
        metric=metric,
        target=target,
        dev_examples=measured[0].examples if measured else 0,
        forecasts=forecasts,
        advice={
            item.strategy: advise(item, target=target, margin=margin, usd_per_label=usd_per_label) for item in forecasts
        },
        crossovers=tuple(crossover(item, rival) for item in learners if rival),
        enough={item.strategy: size for item in forecasts if (size := _enough(item, margin)) is not None},
        levels={item.strategy: item.points[0].score for item in prompting if len(item.points) == 1},
        skipped=dict(skipped or {}),
        focus=tuple(focus),
    )


def _usable(strategy: str, forecasts: Sequence[Forecast]) -> bool:
    """Say whether a curve can be overtaken: it has a forecast, or stays flat."""
    return any(item.strategy == strategy and (item.refusal is None or item.flat) for item in forecasts)


def _enough(found: Forecast, margin: float) -> int | None:
    """Find the smallest size from which on scores are within the margin of the last one; None if only that is."""
    last = found.points[-1]
    enough = last.size
    for point in reversed(found.points):
        if last.score - point.score > margin + 1e-12:
            break
        enough = point.size
    return None if enough == last.size or found.flat else enough

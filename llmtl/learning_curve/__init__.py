"""How the score grows with the number of labelled examples, and what that says about labelling more.

    config.py      the `learning_curve` section of a recipe
    sizes.py       how large the subsets of train are
    power_law.py   error = c + a n^-b, a posterior over a, b, the noise of the draw, and c: 0 or an irreducible error;
                   beside it error = c + a e^(-n/t)
    measuring.py   what will be measured: departures from the laws, the draw of train, the sample of dev
    forecast.py    one strategy's curve: the fit, its back-test, the forecast with a band, or why there is none
    crossover.py   where one strategy overtakes another
    labels_worth.py  how many times the labels pre-training is worth
    advice.py      the next step in words
    conclusion.py      all curves of a run together

Numbers in, numbers and words out. Not covered: measuring the points (`llmtl.pipeline.curve`).
"""

from llmtl.learning_curve.advice import Advice, advise
from llmtl.learning_curve.conclusion import CURVE_FILE, CURVES, LearningCurves, conclude
from llmtl.learning_curve.config import LearningCurveConfig
from llmtl.learning_curve.crossover import Crossover, crossover
from llmtl.learning_curve.forecast import FEWEST_POINTS, BackTest, Band, CurvePoint, Forecast, MeasuredCurve, forecast
from llmtl.learning_curve.labels_worth import LabelsWorth, labels_worth
from llmtl.learning_curve.sizes import subset_sizes

__all__ = [
    "CURVES",
    "CURVE_FILE",
    "FEWEST_POINTS",
    "Advice",
    "BackTest",
    "Band",
    "Crossover",
    "CurvePoint",
    "Forecast",
    "LabelsWorth",
    "LearningCurveConfig",
    "LearningCurves",
    "MeasuredCurve",
    "advise",
    "conclude",
    "crossover",
    "forecast",
    "labels_worth",
    "subset_sizes",
]

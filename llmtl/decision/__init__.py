"""The decision stage: which strategy to use, and what shows it. Sees `Evaluation` values, never models.

    config.py       margin, error rate, constraints
    eligibility.py  the constraints: who may be chosen, and why not
    ranking.py      cheapest and best
    racing.py       who need not be scored on all of dev
    comparing.py    two evaluations against each other, in any metric
    choice.py       the choice on dev, and the comparisons on test it commits to
    evidence.py     those comparisons, measured and Holm-corrected
    verdict.py      adopt, tie, baseline or inconclusive
    forecast.py     power, further examples, break-even
    reasons.py      the verdict in sentences        wording.py  numbers in words
    decide.py       all of it together
    predictions.py  prediction files made elsewhere, as evaluations
    outcome.py      the values                      document.py decision.json and its schema

Not covered: measuring anything (`llmtl.pipeline`).
"""

from llmtl.decision.choice import choose
from llmtl.decision.config import DecisionConfig
from llmtl.decision.decide import decide
from llmtl.decision.document import choice_from_json, choice_to_json, from_json, schema, to_json
from llmtl.decision.outcome import Choice, Decision, Verdict

__all__ = [
    "Choice",
    "Decision",
    "DecisionConfig",
    "Verdict",
    "choice_from_json",
    "choice_to_json",
    "choose",
    "decide",
    "from_json",
    "schema",
    "to_json",
]

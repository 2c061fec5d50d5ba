"""How much of the data a time budget allows, from two timed probes. Not covered: money (`llmtl.costs`)."""

import time
from dataclasses import dataclass

from llmtl.engines import Engine
from llmtl.prompting.predictors import prompt_predictor
from llmtl.prompting.template import Template
from llmtl.task import Example, Split, Task

DEFAULT_CPU_MINUTES = 25.0
"""The budget of a run on a CPU when the recipe gives none."""
SHARES = {"qlora": 0.35, "zero-shot": 0.04, "few-shot": 0.12, "many-shot": 0.10, "knn-few-shot": 0.12}
"""The part of the budget that fitting each strategy may take; the rest is for dev, test and loading."""
DEV_SHARE, TEST_SHARE = 0.10, 0.15
PROBES = 8
PROBE_DEMONSTRATIONS = 8
FEWEST = 50
"""Dev and test are never cut below this many examples: fewer could not carry any verdict."""


@dataclass(frozen=True)
class Plan:
    """What the budget allows: seconds for the whole run, and how many dev and test examples are scored."""

    seconds: float
    dev: int
    test: int
    scoring_seconds: float = 0.0
    """The forecast of scoring so many dev and test examples by all strategies."""

    @property
    def too_short(self) -> str | None:
        """Return one line with the cure where even the fewest examples take longer than the budget; None otherwise."""
        if self.scoring_seconds <= self.seconds:
            return None
        return (
            f"{self.seconds / 60:g} minutes are too few: scoring {self.dev:,} dev and {self.test:,} test examples "
            f"alone is forecast to take {self.scoring_seconds / 60:.0f}; wait longer, or measure fewer strategies with "
            "strategies.run."
        )

    def fit_seconds(self, strategy: str) -> float | None:
        """Return how long fitting the strategy may take, or None for no limit."""
        share = SHARES.get(strategy)
        return share * self.seconds if share else None


def plan(seconds: float, split: Split, task: Task, engine: Engine | None) -> Plan:
    """Return the largest dev and test samples whose forecast fits the budget.

    The forecast for one example scored by all strategies is four zero-shot-sized prompts (zero-shot, few-shot and
    many-shot with their cached prefixes, tuned) and one retrieval prompt, at the speeds of two probes on train texts.
    """
    if engine is None:
        return Plan(seconds, len(split.dev), len(split.test))
    per_example = 4 * _probe(split, task, engine, shots=0) + _probe(split, task, engine, shots=PROBE_DEMONSTRATIONS)
    dev = _allowed(len(split.dev), DEV_SHARE * seconds / per_example)
    test = _allowed(len(split.test), TEST_SHARE * seconds / per_example)
    return Plan(seconds, dev, test, scoring_seconds=(dev + test) * per_example)


def _allowed(available: int, affordable: float) -> int:
    return min(available, max(FEWEST, int(affordable)))


def _probe(split: Split, task: Task, engine: Engine, *, shots: int) -> float:
    """Return seconds per example of predicting from prompts that share only the instruction."""
    template = Template(task, engine)
    shown: dict[str, tuple[Example, ...]] = {}
    for position in range(min(PROBES, len(split.train))):
        rotated = split.train[position:] + split.train[:position]
        shown[rotated[0].text] = rotated[1 : 1 + shots]
    predictor = prompt_predictor(
        task, engine, template, train=split.train, demonstrations=lambda text: shown.get(text, ())
    )
    room = predictor.prompt_room()
    fitting = [text for text, demonstrations in shown.items() if _fits(engine, template, text, demonstrations, room)]
    if not fitting:
        fitting = list(shown)[:1]
        shown.clear()
    predictor.predict(fitting[:1])
    start = time.perf_counter()
    predictor.predict(fitting)
    return (time.perf_counter() - start) / len(fitting)


def _fits(engine: Engine, template: Template, text: str, shown: tuple[Example, ...], room: int) -> bool:
    return engine.count_tokens(template.prompt(text, shown)) <= room

"""How much of the data a time budget allows, from two timed probes. Not covered: money (`llmtl.costs`)."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmtl.engines import Engine
from llmtl.prompting.predictors import answer_room, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.strategy import Facts
from llmtl.task import Example, Split, Task

DEFAULT_CPU_MINUTES = 25.0
"""The budget of a run on a CPU when the recipe gives none."""
FIT_SHARE, DEV_SHARE, TEST_SHARE = 0.73, 0.10, 0.15
"""The parts of the budget for fitting, which strategies share by weight, and for scoring; the rest is for loading."""
PROBES = 8
PROBE_DEMONSTRATIONS = 8
FEWEST = 50
"""Dev and test are never cut below this many examples: fewer could not carry any verdict."""


@dataclass(frozen=True)
class Plan:
    """What the budget allows: seconds for the whole run, and how many dev and test examples are scored.

    `fitting` has the seconds that fitting may take, of each strategy that has a limit.
    """

    seconds: float
    dev: int
    test: int
    scoring_seconds: float = 0.0
    """The forecast of scoring so many dev and test examples by all strategies."""
    fitting: Mapping[str, float] = field(default_factory=dict)

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
        return self.fitting.get(strategy)

    def scaled(self, share: float) -> "Plan":
        """Return the plan with that share of the time for fitting."""
        return replace(self, fitting={name: share * seconds for name, seconds in self.fitting.items()})


def plan(seconds: float, split: Split, task: Task, strategies: Sequence[Facts], engine: Engine | None) -> Plan:
    """Return the largest dev and test samples whose forecast fits the budget.

    The forecast for one example scored by all strategies is what each says that one request costs, in prompts of one
    input and in prompts with demonstrations of their own, at the speeds of two probes on train texts.
    """
    fitting = _fitting(FIT_SHARE * seconds, strategies)
    prompts, long = sum(each.prompts for each in strategies), sum(each.long_prompts for each in strategies)
    if engine is None or prompts + long == 0:
        return Plan(seconds, len(split.dev), len(split.test), fitting=fitting)
    per_example = prompts * _probe(split, task, engine, shots=0) if prompts else 0.0
    per_example += long * _probe(split, task, engine, shots=PROBE_DEMONSTRATIONS) if long else 0.0
    dev = _allowed(len(split.dev), DEV_SHARE * seconds / per_example)
    test = _allowed(len(split.test), TEST_SHARE * seconds / per_example)
    return Plan(seconds, dev, test, scoring_seconds=(dev + test) * per_example, fitting=fitting)


def _fitting(seconds: float, strategies: Sequence[Facts]) -> dict[str, float]:
    """Share the seconds for fitting by the weights of the strategies that run."""
    weights = {facts.name: facts.fit_weight for facts in strategies if facts.fit_weight}
    return {name: seconds * weight / sum(weights.values()) for name, weight in weights.items()}


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
        task,
        engine,
        template,
        max_tokens=answer_room(engine, template, split.train),
        demonstrations=lambda text: shown.get(text, ()),
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

"""How much of the data a time budget allows, from two timed probes, and what is left for fitting.

Not covered: dividing that among strategies (`llmtl.pipeline.shares`), money (`llmtl.costs`).
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from llmtl.engines import Engine
from llmtl.pipeline.evaluate import latency_seconds
from llmtl.pipeline.forgetting_steps import models_measured, seconds_allowed
from llmtl.prompting.predictors import answer_room, prompt_predictor
from llmtl.prompting.template import Template
from llmtl.strategy import Facts, PromptSpeed
from llmtl.task import Draw, Example, Split, Task

DEFAULT_CPU_MINUTES = 25.0
"""The budget of a run on a CPU when the recipe gives none."""
FIT_SHARE, DEV_SHARE, TEST_SHARE = 0.73, 0.10, 0.15
"""The parts of the budget for fitting where nothing was measured, and for scoring at most; the rest is for loading."""
LEAST_FIT_SHARE = 0.5
"""The part of the budget that is for fitting whatever else is forecast to take."""
OTHER_SHARE = 0.12
"""The part of the budget held back for what is not forecast: loading models, reading long beginnings of prompts again,
learning curves, refits without labels that look wrong, the report. With SmolLM2 on 240 texts these took about 10% of 25
minutes (`recipes/support`)."""
PROBES = 8
PROBE_DEMONSTRATIONS = 8
FEWEST = 50
"""Dev and test are never cut below this many examples: fewer could not carry any verdict."""
DRAWS_IN_TIME = 2
"""How many draws of a finalist are measured within a budget (`llmtl.pipeline.draws`): training is shortened, and test
is cut, before one of the two is left out."""


@dataclass(frozen=True)
class Plan:
    """What the budget allows: seconds for the whole run, and how many dev and test examples are scored.

    `fitting` has the share of the time that the weight of each strategy with a limit gives it, for fitting once: what
    it may take at least, where nothing was measured (`llmtl.pipeline.forecasts`), and what a fit is kept by. `scale` is
    the part of that for a smaller fit. `draws` is how often a finalist is fitted and tested where the recipe does not
    say, 1 where even that is too much.
    """

    seconds: float
    dev: int
    test: int
    scoring_seconds: float = 0.0
    """The forecast of scoring so many dev examples by all strategies, and test examples as often as they are drawn."""
    fitting: Mapping[str, float] = field(default_factory=dict)
    scale: float = 1.0
    draws: int = DRAWS_IN_TIME
    latency_seconds: float = 0.0
    """The forecast of measuring the latency of every strategy on dev and test."""
    general_seconds: float = 0.0
    """What measuring what fine-tuning forgets is foreseen to take at most."""
    prompt_seconds: float = 0.0
    long_prompt_seconds: float = 0.0
    testing: Mapping[str, float] = field(default_factory=dict)
    """What of the two forecasts is test's, by strategy."""

    def fitting_seconds(self, probes: float = 0.0) -> float:
        """Say how much of the budget is left for fitting: all but what probes took and the stages after it will."""
        later = OTHER_SHARE * self.seconds + self.scoring_seconds + self.latency_seconds + self.general_seconds
        return max(LEAST_FIT_SHARE * self.seconds, self.seconds - probes - later)

    def seconds_after_dev(self, finalists: Sequence[str]) -> float:
        """Say when fitting has to end once dev was scored: held back are test, and what is not forecast.

        `finalists` are those that test will score; the others left the race on dev.
        """
        to_come = sum(self.testing.get(name, 0.0) for name in finalists)
        return self.seconds - OTHER_SHARE * self.seconds - self.general_seconds - to_come

    @property
    def speed(self) -> PromptSpeed | None:
        """Give the speed of prompts as forecasts take it; None where it was not measured."""
        if self.prompt_seconds == 0:
            return None
        longer = max(0.0, self.long_prompt_seconds - self.prompt_seconds)
        return PromptSpeed(self.prompt_seconds, longer / PROBE_DEMONSTRATIONS)

    @property
    def too_short(self) -> str | None:
        """Say in a line, with the cure, that even the fewest examples take longer than the budget."""
        if self.scoring_seconds <= self.seconds:
            return None
        return (
            f"{self.seconds / 60:g} minutes are too few: scoring {self.dev:,} dev and {self.test:,} test examples "
            f"alone is forecast to take {self.scoring_seconds / 60:.0f}; wait longer, or measure fewer strategies with "
            "strategies.run."
        )

    def fit_seconds(self, strategy: str) -> float | None:
        """Say how many seconds fitting the strategy may take; None for no limit."""
        return self.fitting.get(strategy)

    def scaled(self, share: float) -> "Plan":
        """Shrink the time for fitting to that share."""
        fitting = {name: share * seconds for name, seconds in self.fitting.items()}
        return replace(self, fitting=fitting, scale=share * self.scale)


def plan(
    seconds: float,
    split: Split,
    task: Task,
    strategies: Sequence[Facts],
    engine: Engine | None,
    *,
    draws: Mapping[str, int] | None = None,
) -> Plan:
    """Find the largest dev and test samples whose forecast fits the budget.

    The forecast for one example scored by all strategies is what each says that one request costs, in prompts of one
    input and in prompts with demonstrations of their own, at the speeds of two probes on train texts. `draws` is how
    often a finalist is fitted and tested, by what a draw is: every strategy may become one, so there is room for all.
    Where the fewest examples take too long that way, one draw has to do.
    """
    load = _load(strategies, split, task, engine)
    made = _plan(seconds, split, strategies, load, {} if draws is None else draws)
    if made.too_short is None:
        return made
    once = _plan(seconds, split, strategies, load, dict.fromkeys(Draw, 1))
    return replace(once, draws=1)


@dataclass(frozen=True)
class _Timed:
    """Seconds of one prompt among several that are scored at once, and of one alone."""

    each: float = 0.0
    alone: float = 0.0


@dataclass(frozen=True)
class _Load:
    """The time of prompts of one input, and of those with demonstrations of their own; 0 where nobody asks any."""

    prompt: _Timed = _Timed()
    long_prompt: _Timed = _Timed()

    def of(self, facts: Facts) -> float:
        """Forecast one request to a strategy among several."""
        return facts.prompts * self.prompt.each + facts.long_prompts * self.long_prompt.each

    def alone(self, facts: Facts) -> float:
        """Forecast one request to a strategy that comes alone."""
        return facts.prompts * self.prompt.alone + facts.long_prompts * self.long_prompt.alone


def _load(strategies: Sequence[Facts], split: Split, task: Task, engine: Engine | None) -> _Load:
    """Time the prompts that strategies ask, and those with demonstrations where any are shown."""
    if engine is None:
        return _Load()
    shows = any(each.long_prompts or each.draw is Draw.DEMONSTRATIONS for each in strategies)
    return _Load(
        _probe(split, task, engine, shots=0)
        if any(each.prompts or each.long_prompts for each in strategies)
        else _Timed(),
        _probe(split, task, engine, shots=PROBE_DEMONSTRATIONS) if shows else _Timed(),
    )


def _plan(seconds: float, split: Split, strategies: Sequence[Facts], load: _Load, draws: Mapping[str, int]) -> Plan:
    """Plan for so many draws of those of which one matters."""
    fitting = _fitting(FIT_SHARE * seconds, strategies, draws)
    on_dev = sum(load.of(each) for each in strategies)
    on_test = sum(_draws(each, draws) * load.of(each) for each in strategies)
    if on_dev == 0:
        return Plan(seconds, len(split.dev), len(split.test), fitting=fitting)
    dev = _allowed(len(split.dev), DEV_SHARE * seconds / on_dev)
    test = _allowed(len(split.test), TEST_SHARE * seconds / on_test)
    alone = [load.alone(each) for each in strategies]
    return Plan(
        seconds,
        dev,
        test,
        scoring_seconds=dev * on_dev + test * on_test,
        fitting=fitting,
        latency_seconds=sum(latency_seconds(n, each) for n in (dev, test) for each in alone),
        general_seconds=models_measured(strategies) * seconds_allowed(seconds),
        prompt_seconds=load.prompt.each,
        long_prompt_seconds=load.long_prompt.each,
        testing={
            each.name: test * _draws(each, draws) * load.of(each) + latency_seconds(test, load.alone(each))
            for each in strategies
        },
    )


def _draws(facts: Facts, draws: Mapping[str, int]) -> int:
    """Return how often a strategy is fitted and tested where it becomes a finalist."""
    return 1 if facts.draw is Draw.NONE else draws.get(facts.draw, DRAWS_IN_TIME)


def fits_of(facts: Facts, draws: Mapping[str, int]) -> float:
    """Say how many first fits a finalist takes the time of: further draws may be shorter."""
    return 1 + (_draws(facts, draws) - 1) * facts.redraw


def _fitting(seconds: float, strategies: Sequence[Facts], draws: Mapping[str, int]) -> dict[str, float]:
    """Share the seconds for fitting by the weights of the strategies that run, further draws included."""
    weights = {facts.name: facts.fit_weight for facts in strategies if facts.fit_weight}
    together = sum(facts.fit_weight * fits_of(facts, draws) for facts in strategies)
    return {name: seconds * weight / together for name, weight in weights.items()}


def _allowed(available: int, affordable: float) -> int:
    return min(available, max(FEWEST, int(affordable)))


def _probe(split: Split, task: Task, engine: Engine, *, shots: int) -> _Timed:
    """Time predicting from prompts that share only the instruction."""
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
    predictor.predict(fitting[-1:])
    alone = time.perf_counter()
    predictor.predict(fitting)
    return _Timed((time.perf_counter() - alone) / len(fitting), alone - start)


def _fits(engine: Engine, template: Template, text: str, shown: tuple[Example, ...], room: int) -> bool:
    return engine.count_tokens(template.prompt(text, shown)) <= room

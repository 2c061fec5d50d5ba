"""How much of the data a time budget allows, from two timed probes. Not covered: money (`llmtl.costs`)."""

import time
from dataclasses import dataclass

from llmtl.engines import Engine
from llmtl.task import Split, Task
from llmtl.templates import Template

DEFAULT_CPU_MINUTES = 25.0
"""The budget of a run on a CPU when the recipe gives none."""
SHARES = {"qlora": 0.35, "few-shot": 0.12, "knn-few-shot": 0.12}
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

    def fit_seconds(self, strategy: str) -> float | None:
        """Return how long fitting the strategy may take, or None for no limit."""
        share = SHARES.get(strategy)
        return share * self.seconds if share else None


def plan(seconds: float, split: Split, task: Task, engine: Engine | None) -> Plan:
    """Return the largest dev and test samples whose forecast fits the budget.

    The forecast for one example scored by all strategies is three zero-shot-sized prompts (zero-shot, few-shot with its
    cached prefix, tuned) and one retrieval prompt, at the speeds of two probes on train texts.
    """
    if engine is None:
        return Plan(seconds, len(split.dev), len(split.test))
    per_example = 3 * _probe(split, task, engine, shots=0) + _probe(split, task, engine, shots=PROBE_DEMONSTRATIONS)
    return Plan(
        seconds=seconds,
        dev=_allowed(len(split.dev), DEV_SHARE * seconds / per_example),
        test=_allowed(len(split.test), TEST_SHARE * seconds / per_example),
    )


def _allowed(available: int, affordable: float) -> int:
    return min(available, max(FEWEST, int(affordable)))


def _probe(split: Split, task: Task, engine: Engine, *, shots: int) -> float:
    """Return seconds per example of scoring prompts that share only the instruction."""
    template = Template(task, engine)
    count = min(PROBES, len(split.train))
    prompts = []
    for position in range(count):
        rotated = split.train[position:] + split.train[:position]
        prompts.append(template.prompt(rotated[0].text, rotated[1 : 1 + shots]))
    room = engine.context_length - max(engine.count_tokens(answer) for answer in template.answers()) - 1
    fitting = [prompt for prompt in prompts if engine.count_tokens(prompt) <= room] or [
        template.prompt(split.train[0].text)
    ]
    engine.score(fitting[:1], template.answers())
    start = time.perf_counter()
    engine.score(fitting, template.answers())
    return (time.perf_counter() - start) / len(fitting)

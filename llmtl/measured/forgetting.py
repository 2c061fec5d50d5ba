"""What fine-tuning cost a language model of what it could do before, as values.

Not covered: measuring it (`llmtl.pipeline.forgetting_steps`), who may be chosen for it (`llmtl.decision.forgotten`).
"""

from dataclasses import dataclass

from llmtl.metrics.intervals import Interval


@dataclass(frozen=True)
class HarderText:
    """How much harder general English became to predict, on the first `passages` of the `available` ones.

    `before` and `after` are mean cross-entropies in nats per token, over `tokens`. `rise` is the share by which the
    cross-entropy rose (0.03: 3% harder), `perplexity_ratio` the perplexity after by that before, both with their 95%
    intervals over passages, paired.
    """

    passages: int
    available: int
    tokens: int
    before: float
    after: float
    rise: Interval
    perplexity_ratio: Interval


@dataclass(frozen=True)
class TaskShift:
    """The share of `items` of a small task, asked without examples, that is right before and after.

    `difference` is after less before, with its 95% interval. `able` says that the model did better than chance before,
    shown by Wilson's interval: else there was nothing to forget.
    """

    name: str
    items: int
    labels: int
    before: float
    after: float
    difference: Interval
    able: bool


@dataclass(frozen=True)
class Forgetting:
    """What a tuned model lost of general English, and of small tasks that it was not tuned for.

    `sample` is the SHA-256 of the texts, `seconds` what measuring the tuned model took.
    """

    text: HarderText
    tasks: tuple[TaskShift, ...] = ()
    sample: str = ""
    seconds: float = 0.0

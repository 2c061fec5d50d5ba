"""Which fine-tuned language models lost too much of general English: the limit of the recipe, and a warning without it.

Measured values are of the evaluation on dev, so that another limit measures nothing again. Not covered: measuring
(`llmtl.pipeline.forgetting_steps`), the words for it (`llmtl.report.forgetting_words`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from llmtl.decision.config import DecisionConfig
from llmtl.measured.evaluation import Evaluation
from llmtl.strategies.table import facts_of
from llmtl.strategy import Facts, PromptServed, Role, Runs

WORTH_TELLING = 0.1
"""From this rise of the cross-entropy on, a reader is warned where the recipe sets no limit (our choice)."""


@dataclass(frozen=True)
class HarderEnglish:
    """Tuned strategies, the worst first, with the `rises` of their models' cross-entropy on general English."""

    strategies: tuple[str, ...]
    rises: tuple[float, ...]
    kind: Literal["harder_english"] = "harder_english"


def tunes_language_model(facts: Facts) -> bool:
    """Say whether a strategy tunes a language model and serves it as one, so that the model may forget."""
    return facts.role is Role.TUNING and facts.runs is Runs.BASE_MODEL and facts.served is PromptServed


def may_have_forgotten(evaluation: Evaluation) -> bool:
    """Say whether a strategy, or a member of a cascade, tunes a language model and serves it as one."""
    names = [member.strategy for member in evaluation.members] or [evaluation.strategy]
    return any(facts is not None and tunes_language_model(facts) for facts in map(facts_of, names))


def rise_of(evaluation: Evaluation) -> float | None:
    """Give the share by which the cross-entropy on general English rose; None where that was not measured."""
    return None if evaluation.forgetting is None else evaluation.forgetting.text.rise.value


def harder_english(dev: Sequence[Evaluation], config: DecisionConfig) -> tuple[HarderEnglish, ...]:
    """Find who lost much, where the recipe sets no limit; cascades are left out, as their members are there."""
    if config.max_forgetting is not None:
        return ()
    rises = {item.strategy: rise for item in dev if not item.members and (rise := rise_of(item)) is not None}
    much = sorted((name for name, rise in rises.items() if rise >= WORTH_TELLING), key=lambda name: -rises[name])
    return (HarderEnglish(tuple(much), tuple(rises[name] for name in much)),) if much else ()

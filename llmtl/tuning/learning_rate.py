"""Choose the learning rate by the model's hidden size.

Not covered: schedules (`llmtl.tuning.training`), batch-size scaling (the rule was fitted at a fixed batch).
"""

import math
from collections.abc import Iterable

BASE_RATE = 5e-5
LORA_FACTOR = 10
REFERENCE_HIDDEN_SIZE = 2000
LLAMA_EXPONENT = 0.781
USUAL_FOR_ADAPTERS, USUAL_FOR_OWN_WEIGHTS = (1e-4, 3e-4), (1e-5, 1e-4)
USUAL_FOR_PREFERENCES = (5e-6, 5e-5)
"""Of adapters, by two open recipes: Zephyr's QLoRA recipe (below) has the first; a higher one suits short trainings."""
USUAL_EPOCHS, USUAL_EPOCHS_ON_PAIRS = (3, 10), (1, 3)
USUAL_BETAS = (0.01, 0.5)
"""Zephyr's recipe has the first, the largest that Rafailov et al. 2023 tried is the second (their section 6)."""
PREFERENCE_RATE, PREFERENCE_WIDTH = 5e-6, 4096
FAR = 10
"""What is this many times outside the usual is said before a run."""


def rate_for_hidden_size(hidden_size: int) -> float:
    """Compute the AdamW learning rate for LoRA on a LLaMA-family model: 5e-5 * 10 * (2000 / hidden size) ** 0.781.

    Thinking Machines Lab fitted the formula and its constants over a sweep of LLaMA models from 1B to 70B parameters
    (tinker-docs.thinkingmachines.ai, "Supervised learning hyperparameters"); the factor of 10 from full fine-tuning to
    LoRA is that of "LoRA Without Regret" (2025). It gives 2.9e-4 for an 8B LLaMA (hidden size 4096). Mistral models
    share LLaMA's architecture, so they get its exponent. Their later sweep found 3e-4 for 8B and 1e-3 for 1B and 3B, so
    the rule is cautious for small models. Below a hidden size of 2048 it extrapolates. For 192 it gives 3.1e-3; on a
    model of that size and 192 messages, four epochs at 1e-3 had learned less and 1e-2 was unsteady.
    """
    return BASE_RATE * LORA_FACTOR * math.pow(REFERENCE_HIDDEN_SIZE / hidden_size, LLAMA_EXPONENT)


def own_rate_for_hidden_size(hidden_size: int) -> float:
    """Compute the rate where the model's own weights are trained: a tenth of the adapter's (LoRA Without Regret).

    2.9e-5 for an 8B LLaMA, 1.3e-4 for a hidden size of 576.
    """
    return rate_for_hidden_size(hidden_size) / LORA_FACTOR


def preference_rate(hidden_size: int) -> float:
    """Compute the learning rate of an adapter on pairs of answers: 5e-6 * (4096 / hidden size) ** 0.781.

    5e-6 is that of Zephyr's QLoRA recipe (github.com/huggingface/alignment-handbook, zephyr-7b-beta/dpo), a model of
    that width. How it goes with the width was not measured: the exponent is that of the rule above.
    """
    return PREFERENCE_RATE * math.pow(PREFERENCE_WIDTH / hidden_size, LLAMA_EXPONENT)


def odd_rate(rate: float, usual: tuple[float, float], *, name: str, own: float | None = None) -> str | None:
    """Say why a learning rate will hardly work: it is more than 10 times outside the `usual` ones; None where not.

    `own` is the rate that a rule gives for the model at hand, around which as much is usual, too. `name` is the key.
    """
    low, high = min(usual[0], own or usual[0]), max(usual[1], own or usual[1])
    around = f"{usual[0]:g} to {usual[1]:g} are usual"
    if rate > FAR * high:
        return f"{name} is {rate:g}, and {around}: training will probably diverge and unlearn what the model knew."
    if rate < low / FAR:
        return f"{name} is {rate:g}, and {around}: the model will hardly learn anything."
    return None


def odd_epochs(epochs: int, *, name: str) -> str | None:
    """Say the same of a number of epochs; 3 to 10 are usual."""
    if epochs <= FAR * USUAL_EPOCHS[1]:
        return None
    low, high = USUAL_EPOCHS
    return f"{name} is {epochs}, and {low} to {high} are usual: after that a model learns its examples by heart."


def odd_preferences(
    section: str, rate: float | None, epochs: int, beta: float, *, own: float | None
) -> tuple[str, ...]:
    """Say which choices of a training on pairs are far from those that work, a line each."""
    found = [] if rate is None else [odd_rate(rate, USUAL_FOR_PREFERENCES, name=f"{section}.preference_rate", own=own)]
    low, high = USUAL_EPOCHS_ON_PAIRS
    if epochs > FAR * high:
        found.append(
            f"{section}.preference_epochs is {epochs}, and {low} to {high} are usual: after that answers get worse "
            "while pairs are told apart ever better."
        )
    low_beta, high_beta = USUAL_BETAS
    if not low_beta / FAR <= beta <= high_beta * FAR:
        what = "the model will hardly change" if beta > high_beta else "it may drift far from what it had learned"
        found.append(f"{section}.beta is {beta:g}, and {low_beta:g} to {high_beta:g} are usual: {what}.")
    return tuple(each for each in found if each is not None)


def odd_choices(
    section: str, rates: Iterable[float], epochs: int, *, usual: tuple[float, float], own: float | None = None
) -> tuple[str, ...]:
    """Say both of the choices in a section of the recipe: a line for each that is odd."""
    found = [odd_rate(rate, usual, name=f"{section}.learning_rate", own=own) for rate in rates]
    found.append(odd_epochs(epochs, name=f"{section}.max_epochs"))
    return tuple(each for each in found if each is not None)

"""Choose the learning rate by the model's hidden size.

Not covered: schedules (`llmtl.tuning.training`), batch-size scaling (the rule was fitted at a fixed batch).
"""

import math

BASE_RATE = 5e-5
LORA_FACTOR = 10
REFERENCE_HIDDEN_SIZE = 2000
LLAMA_EXPONENT = 0.781


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

"""What a recipe may choose about training a language model, with defaults from the literature.

Sources: Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314, section 4 and appendix B); Schulman et al. 2025, "LoRA Without
Regret" (thinkingmachines.ai/blog/lora); PEFT's LoRA guide (huggingface.co/docs/peft, "LoRA"). Not covered: which layers
(all linear ones, always), the 4-bit format (NF4 with double quantisation, always).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TrainingConfig(BaseModel):
    """The choices that all strategies that train a language model have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate; by default the hidden-size rule (an 8B LLaMA: 2.9e-4 for an adapter, "
        "2.9e-5 for its own weights).",
    )
    schedule: Literal["constant", "linear"] = Field(
        default="constant",
        description="Learning rate after the warm-up: constant (QLoRA and LoRA Without Regret), or linear down to 0.",
    )
    warmup_fraction: float = Field(
        default=0.03, ge=0, lt=1, description="Share of the steps over which the learning rate rises from 0 (QLoRA)."
    )
    max_epochs: int = Field(default=10, ge=1, description="Passes over the training examples, at most.")
    evaluations_per_epoch: int = Field(default=1, ge=1, description="Measurements of the dev loss per epoch.")
    patience: int = Field(
        default=3, ge=1, description="Training stops after this many measurements in a row without a better dev loss."
    )
    batch_size: int = Field(
        default=16,
        ge=1,
        description="Examples per step (QLoRA's for 7B and 13B). If memory runs out, fewer are computed at once and "
        "gradients are accumulated, so that the step stays the same.",
    )
    max_length: int | None = Field(
        default=None, ge=1, description="Longest prompt with answer, in tokens; by default the model's context."
    )
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW weight decay of what is trained.")
    max_grad_norm: float = Field(default=0.3, gt=0, description="Gradients are clipped to this norm (QLoRA).")


class AdapterTrainingConfig(TrainingConfig):
    """The choices that strategies that train a LoRA adapter have."""

    rank: int = Field(
        default=16,
        ge=1,
        le=512,
        description="Rank of the adapter matrices. With adapters on all linear layers it hardly matters for small data "
        "(QLoRA, appendix A; LoRA Without Regret); 16 is also the largest that vLLM serves by default.",
    )
    alpha: int = Field(
        default=32,
        ge=1,
        description="Scale of the adapter: its output is multiplied by alpha / rank. The learning-rate rule was fitted "
        "with 32 (LoRA Without Regret).",
    )
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="Dropout before the adapter; 0.1 for models up to 13B parameters (QLoRA)."
    )


class WholeTrainingConfig(TrainingConfig):
    """The choices that strategies that train the model's own weights have."""

    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradients are clipped to this norm (Touvron et al. 2023, LLaMA 2: 1.0)."
    )

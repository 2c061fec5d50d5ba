"""The sections of a recipe that options of `llmtl run` mirror: model, encoder, budget. Reading this file takes no time.

Not covered: the whole recipe (`llmtl.settings`).
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from llmtl.engines.protocol import Dtype
from llmtl.recipe import ShortSection

EngineChoice = Literal["auto", "transformers", "vllm"]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class ModelConfig(ShortSection):
    """Which pre-trained model to adapt; the name alone stands for the whole section."""

    model_config = _STRICT
    short_for = "name"

    name: str = Field(
        min_length=1,
        description="A LLaMA- or Mistral-family model: a Hub name, a folder, a GGUF file (de-quantised once, into a "
        "cache folder), or a name that works on any machine: smollm2 (SmolLM2-135M-Instruct), or the embedded "
        "pocket-llama and pocket-mistral.",
    )
    revision: str | None = Field(default=None, description="The Hub revision (branch, tag or commit).")
    engine: EngineChoice = Field(
        default="auto",
        description="What runs the model: transformers or vllm; auto is vLLM on a GPU and in bfloat16, where it is "
        "installed, so that what is measured is what is served.",
    )
    dtype: Dtype = Field(
        default="auto",
        description="The numbers it is run in, measured and served: float32 or bfloat16. auto is bfloat16 on a GPU and "
        "float32 on a CPU, where bfloat16 was 1.4 to 1.6 times as fast but changed up to 5% of the labels; a CPU with "
        "AMX takes bfloat16 for models from 100M parameters where a probe on dev inputs finds that it saves time and "
        "at most one label in 200 changes. Fine-tuning "
        "computes in bfloat16 on a GPU and in float32 on a CPU either way.",
    )


class EncoderConfig(ShortSection):
    """Which encoder the strategies use that need one; the name alone stands for the whole section."""

    model_config = _STRICT
    short_for = "name"

    name: str = Field(
        default="minilm",
        min_length=1,
        description="A Hub name or folder of a sentence-transformers model or another encoder, or minilm "
        "(all-MiniLM-L6-v2).",
    )
    revision: str | None = Field(default=None, description="The Hub revision (branch, tag or commit).")


class BudgetConfig(BaseModel):
    """How long a run may take."""

    model_config = _STRICT

    minutes: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        description="Wall-clock minutes for the whole run: caps training and sub-samples train, dev and test so that "
        "the forecast fits. By default 25 on a CPU and no limit on a GPU.",
    )

"""What a recipe may choose about training a language model, with defaults from the literature.

Sources: Dettmers et al. 2023, "QLoRA" (arXiv:2305.14314, section 4 and appendix B); Schulman et al. 2025, "LoRA Without
Regret" (thinkingmachines.ai/blog/lora); PEFT's LoRA guide (huggingface.co/docs/peft, "LoRA"). Not covered: the 4-bit
format (NF4 with double quantisation, always).
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

LARGEST_RANK = 512
"""The largest rank of an adapter that vLLM serves."""
STRENGTHS = (0.0, 0.1, 1.0, 10.0, 100.0)
"""The strengths of consolidation that `ewc: auto` trains with, in turn."""
LinearLayer = Literal["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
"""The linear layers of a LLaMA or Mistral block."""


class TrainingConfig(BaseModel):
    """The choices that all strategies that train a language model have."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    learning_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate; by default the hidden-size rule (an 8B LLaMA: 2.9e-4 for an adapter, "
        "2.9e-5 for its own weights).",
    )
    find_learning_rate: Literal["when-diverging", "always", "never"] = Field(
        default="when-diverging",
        description="Search a learning rate by a range test of 40 steps on a copy of the model (Smith 2017, "
        "arXiv:1506.01186) and train with it: where the first measurement shows that training diverges, always, or "
        "never.",
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
    average_best: int = Field(
        default=1,
        ge=1,
        le=10,
        description="Average the weights of so many of the best measurements, say 3, and keep the average where its "
        "dev loss is lower than the best (Wortsman et al. 2022, Model soups, arXiv:2203.05482). As many copies of what "
        "is trained are held in memory; 1 averages nothing.",
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Each layer's learning rate is that of the layer above times this, so that early layers change "
        "less (Howard & Ruder 2018, ULMFiT, arXiv:1801.06146; Sun et al. 2019, arXiv:1905.05583, found 0.95 best for "
        "BERT); 1 lets all learn alike.",
    )
    replay: float = Field(
        default=0.0,
        ge=0,
        le=0.05,
        description="Share of what is trained on that is general English of llmtl's own, so that the model forgets "
        "less of it (rehearsal: Robins 1995; 1% of old data did for Scialom et al. 2022, arXiv:2205.12393, 5% for "
        "Ibrahim et al. 2024, arXiv:2403.08763). Passages are longer than answers and all of their tokens are learned, "
        "so they weigh more than their share. What forgetting is measured on is never among them.",
    )
    ewc: Annotated[float, Field(ge=0, le=1e9)] | Literal["auto"] = Field(
        default=0.0,
        description="Strength of elastic weight consolidation (Kirkpatrick et al. 2017, arXiv:1612.00796), which draws "
        "back what general English needs: 1 counts a nat that its cross-entropy is estimated to rise by like one of "
        "the training loss. 0 leaves it out. auto trains with 0, 0.1, 1, 10 and 100 in turn, each time anew, and keeps "
        "the first that holds decision.max_forgetting, or 10%, on passages that forgetting is not measured on.",
    )
    neftune_alpha: float | None = Field(
        default=None,
        gt=0,
        le=1000,
        description="Size of the noise on input embeddings while training (Jain et al. 2023, NEFTune, "
        "arXiv:2310.05914, who use 5, 10 and 15 for long answers); none by default. Prompts are then not shared, which "
        "makes steps slower.",
    )


class AdapterTrainingConfig(TrainingConfig):
    """The choices that strategies that train a LoRA adapter have."""

    rank: int = Field(
        default=16,
        ge=1,
        le=LARGEST_RANK,
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
    target_modules: tuple[LinearLayer, ...] | None = Field(
        default=None,
        min_length=1,
        description="Linear layers that get an adapter; by default all of them, which QLoRA found necessary to match "
        "full fine-tuning (its section 4).",
    )
    rank_stabilised: bool = Field(
        default=False,
        description="Multiply the adapter's output by alpha / sqrt(rank) instead of alpha / rank, so that large ranks "
        "learn as fast as small ones (Kalajdzievski 2023, rsLoRA, arXiv:2312.03732).",
    )
    b_rate_ratio: float = Field(
        default=1.0,
        ge=1,
        le=1000,
        description="Learning rate of the adapter's second matrix (B) by that of its first (Hayou et al. 2024, LoRA+, "
        "arXiv:2402.12354, who advise 16 for hard tasks, with a lower learning rate); 1 is plain LoRA.",
    )
    initialisation: Literal["default", "pissa", "olora", "loftq"] = Field(
        default="default",
        description="What the adapter starts from: noise and zeros (Hu et al. 2021), the weights' largest singular "
        "values (Meng et al. 2024, PiSSA, arXiv:2404.02948), their QR decomposition (Buyukakyuz 2024, OLoRA, "
        "arXiv:2406.01775), or, in four bits, what rounding took away (Li et al. 2023, LoftQ, arXiv:2310.08659). All "
        "but the default are kept as plain LoRA of twice the rank, which vLLM serves on the base model as it is.",
    )
    dora: bool = Field(
        default=False,
        description="Weight-decomposed adapters (Liu et al. 2024, DoRA, arXiv:2402.09353). Refused: vLLM serves them "
        "merged into the model only, and what is tuned here is served beside it.",
    )

    quantised: ClassVar[bool] = False
    """Whether the frozen weights are held in four bits."""

    @model_validator(mode="after")
    def _can_be_served(self) -> Self:
        """Refuse what vLLM could not serve as it was measured."""
        if self.dora:
            raise ValueError(
                "'dora' cannot be served: vLLM takes DoRA merged into the model only; leave it out, or tune all weights"
            )
        if len(set(self.target_modules or ())) != len(self.target_modules or ()):
            raise ValueError("'target_modules' names a layer twice; name each once")
        if self.quantised and self.initialisation in ("pissa", "olora"):
            raise ValueError(
                f"'{self.initialisation}' changes the frozen weights, which would be rounded to four bits a second "
                "time; take the strategy lora, or 'loftq'"
            )
        if self.initialisation == "loftq" and not self.quantised:
            raise ValueError("'loftq' makes up for rounding to four bits, and here nothing is rounded; take 'pissa'")
        if self.initialisation != "default" and 2 * self.rank > LARGEST_RANK:
            raise ValueError(
                f"'{self.initialisation}' is kept with twice the rank, and vLLM serves at most {LARGEST_RANK}; halve it"
            )
        return self


class WholeTrainingConfig(TrainingConfig):
    """The choices that strategies that train the model's own weights have."""

    max_grad_norm: float = Field(
        default=1.0, gt=0, description="Gradients are clipped to this norm (Touvron et al. 2023, LLaMA 2: 1.0)."
    )


class PreferenceTrainingConfig(AdapterTrainingConfig):
    """The choices of learning from preferences; those of all adapters are of the supervised training before it.

    Sources: Rafailov et al. 2023, "Direct Preference Optimization" (arXiv:2305.18290); Tunstall et al. 2023, "Zephyr"
    (arXiv:2310.16944) and its QLoRA recipe (github.com/huggingface/alignment-handbook); Chen et al. 2024, "Self-Play
    Fine-Tuning" (arXiv:2401.01335).
    """

    beta: float = Field(
        default=0.1,
        gt=0,
        le=100,
        description="How strongly what was learned from references is held on to: the weight of the divergence from it "
        "(Rafailov et al. 2023, appendix B: 0.1).",
    )
    loss: Literal["sigmoid", "ipo", "hinge", "apo_zero"] = Field(
        default="sigmoid",
        description="The loss on pairs: that of DPO, squared (Azar et al. 2023, IPO, arXiv:2310.12036: for preferences "
        "that leave no doubt), hinge (Zhao et al. 2023, SLiC, arXiv:2305.10425), or one that raises the better answer "
        "by itself (D'Oosterlinck et al. 2024, APO-zero, arXiv:2408.06266).",
    )
    chosen_weight: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Weight of the supervised loss on the better answer beside that on pairs (Pang et al. 2024, "
        "arXiv:2404.19733, who use 1): DPO alone may make both answers less likely.",
    )
    preference_rate: float | None = Field(
        default=None,
        gt=0,
        description="Peak learning rate on pairs; by default 5e-6 for a 7B model (Zephyr's QLoRA recipe), more for "
        "narrower ones, as the rule for adapters has it.",
    )
    preference_epochs: int = Field(
        default=3, ge=1, description="Passes over the pairs, at most (Zephyr: 1 to 3; more over-fitted)."
    )
    preference_batch_size: int = Field(default=8, ge=1, description="Pairs per step, two answers each.")
    max_pairs: int = Field(
        default=256,
        ge=1,
        description="Training inputs that the model is asked to answer for pairs of its own, at most; unused with "
        "data.preferences.",
    )
    scored_dev: int = Field(
        default=100,
        ge=1,
        description="Dev inputs that are answered at each measurement while pairs are learned from, at most.",
    )

    def on_pairs(self) -> Self:
        """Give the choices of the training on pairs."""
        return self.model_copy(
            update={
                "max_epochs": self.preference_epochs,
                "batch_size": self.preference_batch_size,
                "average_best": 1,
                "replay": 0.0,
                "ewc": 0.0,
                "neftune_alpha": None,
            }
        )

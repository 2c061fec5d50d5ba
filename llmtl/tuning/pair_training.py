"""Learn which of two answers is better: TRL's trainer for DPO, from the adapter that a supervised training left.

One adapter throughout: the reference that DPO holds on to is a frozen copy of it. Dev is measured by the score of the
answers that the model writes, not by a loss, since a better one for pairs need not write better answers; weights are
kept where that score is higher than before, so that a training on pairs that does not help leaves the supervised
adapter. Not covered: where pairs come from (`llmtl.strategies.dpo`), four bits; `layer_decay`, `b_rate_ratio`, `ewc`
and `replay`, which are of the supervised training alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftConfig, PeftModel
from transformers import PreTrainedModel, PrinterCallback, TrainerCallback
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DataCollatorForPreference, DPOTrainer

from llmtl.engines.tokens import encode
from llmtl.seals import sha256_of_files
from llmtl.task import Example, Preference
from llmtl.tuning.config import PreferenceTrainingConfig
from llmtl.tuning.needed_memory import StepLoad, TrainedPart
from llmtl.tuning.quantised import train_in_float32
from llmtl.tuning.resuming import ResumableTrainer
from llmtl.tuning.shared_prefix import SharedPrefixCollator
from llmtl.tuning.step_memory import Collator, load_of
from llmtl.tuning.tokenized import IGNORED, TokenizedExample, Wording, tokenize
from llmtl.tuning.trained_weights import load_plain, writing
from llmtl.tuning.training import CHECKPOINTING_PARAMETERS, TrainingJob, arguments

_PADDING = 0
_KEPT = "default"
"""PEFT's name of the adapter that is trained; TRL calls the frozen copy `ref`."""


@dataclass(frozen=True)
class TokenizedPair:
    """Both answers behind the same prompt; the loss is on the answers."""

    chosen: TokenizedExample
    rejected: TokenizedExample


def tokenize_pairs(
    pairs: Sequence[Preference], wording: Wording, tokenizer: Any, *, max_length: int
) -> tuple[TokenizedPair, ...]:
    """Tokenize pairs as training does examples, and leave out those of which an answer is longer than `max_length`.

    An answer that was cut off has no end token: its end is not what made it worse.
    """
    [end] = encode(tokenizer, [wording.end])
    found = []
    for pair in pairs:
        chosen, rejected = (
            tokenize(Example("", pair.input, answer), wording, tokenizer) for answer in (pair.chosen, pair.rejected)
        )
        if not pair.ended:
            kept = len(rejected.input_ids) - len(end)
            rejected = TokenizedExample(rejected.input_ids[:kept], rejected.labels[:kept])
        if max(len(chosen.input_ids), len(rejected.input_ids)) <= max_length:
            found.append(TokenizedPair(chosen, rejected))
    return tuple(found)


@dataclass(frozen=True)
class GoneOnWith:
    """The adapter in the folder `start`, trained further on frozen weights that are not in four bits."""

    start: Path = field(repr=False)  # a run folder may be moved: what tells adapters apart is the hash
    sha256: str

    @classmethod
    def at(cls, start: Path) -> "GoneOnWith":
        """Go on with the adapter that is there."""
        return cls(start, sha256_of_files(sorted(start.glob("*.safetensors"))))

    @property
    def adapter(self) -> LoraConfig | None:
        """Make no adapter: there is one."""
        return None

    @property
    def less(self) -> str:
        """Name the length and the rank."""
        return "lower 'max_length' or 'rank'"

    @property
    def trained(self) -> TrainedPart:
        """Name the adapter's size; a frozen copy of it is what it is compared with, and TRL switches dropout off."""
        made: Any = PeftConfig.from_pretrained(str(self.start))
        layers = sorted({name.rsplit(".", 1)[-1] for name in made.target_modules})
        return TrainedPart(rank=made.r, targets=tuple(layers), copies=1)

    def load(self, checkpoint: Path, *, device: str) -> PreTrainedModel:
        """Load the checkpoint as `lora` does, with the adapter on it."""
        model = load_plain(checkpoint, device=device, dtype=torch.bfloat16 if device == "cuda" else torch.float32)
        tuned: Any = PeftModel.from_pretrained(model, self.start, is_trainable=True)
        return tuned  # type: ignore[no-any-return]

    def prepare(self, model: Any, *, base_name: str) -> None:
        """Train in float32; the adapter names its base model already."""
        del base_name
        train_in_float32(model)

    def save(self, model: Any, folder: Path) -> None:
        """Write the adapter that is trained, and not the copy that it is compared with."""
        with writing(folder):
            model.save_pretrained(
                folder, safe_serialization=True, save_embedding_layers=False, selected_adapters=[_KEPT]
            )
        (folder / "README.md").unlink(missing_ok=True)


@dataclass(frozen=True)
class PreferenceJob(TrainingJob):
    """A training on pairs: `train` are the better answers, and `rejected` the worse ones in the same order.

    `score` scores the dev answers of a model as it is.
    """

    rejected: tuple[TokenizedExample, ...] = ()
    score: Callable[[Any], float] = field(default=lambda model: 0.0, repr=False)

    @property
    def beside(self) -> Any:
        """Name the worse answers."""
        return [[each.input_ids, each.labels] for each in self.rejected]

    def load(self, batch: int, collator: Collator, *, recomputed: bool) -> StepLoad:
        """Count both answers of the longest pairs, padded as TRL does; dev is written, not read."""
        del collator
        padded = SharedPrefixCollator(sharing=False, window=None)
        return load_of((*self.train, *self.rejected), 2 * batch, padded, recomputed=recomputed)

    def trainer(
        self, model: Any, batch: int, accumulation: int, *, callbacks: list[TrainerCallback]
    ) -> "PreferenceTrainer":
        """Make TRL's trainer for the pairs."""
        config = self.config
        assert isinstance(config, PreferenceTrainingConfig)
        large = model.num_parameters() >= CHECKPOINTING_PARAMETERS
        supervised = config.chosen_weight > 0
        trainer = PreferenceTrainer(
            model=model,
            args=_OneDevicePreferenceConfig(
                **arguments(self, batch, accumulation, large=large),
                beta=config.beta,
                loss_type=[config.loss, *(["sft"] if supervised else [])],
                loss_weights=[1.0, config.chosen_weight] if supervised else None,
            ),
            data_collator=DataCollatorForPreference(pad_token_id=_PADDING),
            train_dataset=_as_dataset(self.train, self.rejected),
            processing_class=self.tokenizer,
            callbacks=callbacks,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.score = self.score
        self.weights.prepare(trainer.model, base_name=self.base_name)
        return trainer


class _OneDevicePreferenceConfig(DPOConfig):
    """The settings of a trainer whose model sits on one device; TRL would refuse several GPUs."""

    @property
    def n_gpu(self) -> int:
        """Count the GPUs that are trained on."""
        return int(min(1, super().n_gpu))


class PreferenceTrainer(ResumableTrainer, DPOTrainer):
    """TRL's trainer on pairs that are tokenized already, which measures dev by the answers that the model writes."""

    score: Callable[[Any], float]

    def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
        """Take the pairs as they are."""
        return dataset

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Count the tokens of a training batch, and compute TRL's loss."""
        if model.training:
            self.trained_tokens += int(inputs["attention_mask"].sum())
        return super().compute_loss(model, inputs, *args, **kwargs)  # type: ignore[no-untyped-call]

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Score the answers to dev, and tell the callbacks."""
        model: Any = self.model
        training = model.training
        model.eval()
        metrics = {"eval_score": self.score(model.get_base_model())}
        model.train(training)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def _as_dataset(chosen: Sequence[TokenizedExample], rejected: Sequence[TokenizedExample]) -> Dataset:
    """Put the pairs in the pre-tokenized form of TRL's collator: the prompt, and both answers behind it."""
    rows = []
    for better, worse in zip(chosen, rejected, strict=True):
        prompt = sum(label == IGNORED for label in better.labels)
        ids = list(better.input_ids)
        rows.append(
            {"prompt_ids": ids[:prompt], "chosen_ids": ids[prompt:], "rejected_ids": list(worse.input_ids)[prompt:]}
        )
    return Dataset.from_list(rows)

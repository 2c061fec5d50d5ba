"""Compare QLoRA by plain TRL and by llmtl: `python evals/bench_tuning.py --model smollm2`.

Both train on the same batches of zero-shot prompts (8 intents of Banking77) with the same 4-bit weights, adapter,
optimizer and threads in one process, in turns; without dropout, so that their losses must agree. Plain TRL is
`SFTTrainer` as it comes, given tokenized prompts whose loss is on the answers: it pads each batch, and on a CPU puts
prompts through the output head, too. llmtl trains as its strategy does: `llmtl.tuning.shared_prefix` computes what
prompts begin with once per batch, `llmtl.tuning.answers_only` leaves prompts out of the head. A third side is llmtl on
the weights' own precision (float32) instead of NF4: what four bits cost on a CPU.

The first step of each turn is left out of the times: it allocates memory. Ratios are of processor seconds, which other
work on the machine stretches less than wall-clock seconds. Losses are those that the trainers log, to four decimals.
Bar: 1.3 times. Not covered: GPUs, memory; what is learned (`tuning_scores.py`).
"""

import argparse
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from bench_scoring import DATA, read_rows, resolved
from transformers import PrinterCallback, TrainerCallback
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer
from written_results import circumstances, write_result

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.progress import Silent
from llmtl.prompting.template import Template
from llmtl.quiet import own_randomness, quiet
from llmtl.strategies.qlora import QloraConfig
from llmtl.task import Example, Task
from llmtl.tuning.learning_rate import rate_for_hidden_size
from llmtl.tuning.quantised import load_quantised, train_in_float32
from llmtl.tuning.tokenized import IGNORED, TokenizedExample, fitting
from llmtl.tuning.trained_weights import Adapter
from llmtl.tuning.training import TrainingJob, as_dataset, train

BAR = 1.3
LABELS = 8
TOLERANCE = 1e-3
"""Largest relative gap between two losses: float32 sums depend on the order, and steps build on each other."""


@dataclass
class Clock(TrainerCallback):
    """Measures the wall-clock and processor seconds of each step."""

    steps: list[tuple[float, float]] = field(default_factory=list)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start a step."""
        self._begun = (time.perf_counter(), time.process_time())

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End it."""
        wall, processor = self._begun
        self.steps.append((time.perf_counter() - wall, time.process_time() - processor))


Side = Callable[[TrainingJob, Clock], float]


def main() -> int:
    """Run the benchmark; exit code 0 if the bar is met and the losses agree."""
    options = _options()
    torch.set_num_threads(options.threads)
    before = circumstances(sys.argv, packages=("trl", "peft", "bitsandbytes", "accelerate"))
    job = _job(options)
    rounds: list[dict[str, dict[str, float]]] = []
    for turn in range(options.rounds):
        rounds.append({name: _measured(side, job) for name, side in SIDES.items()})
        print(f"Round {turn + 1}: " + ", ".join(f"{name} {each['cpu']:.2f}" for name, each in rounds[-1].items()))
    result = {
        "what": "seconds per step of QLoRA: plain TRL, llmtl, and llmtl on float32 weights instead of NF4",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "model": Path(options.model).name,
        "threads": options.threads,
        "batch": options.batch,
        "steps_per_round": options.steps,
        **_work(job.train, options.batch),
        **summary(rounds, tokens_per_step=_tokens(job.train) / options.steps),
        "bar": BAR,
    }
    result["met"] = result["ratio"] >= BAR and result["losses_agree"]
    path = write_result(f"bench_tuning-{Path(options.model).name}", result)
    print(
        f"llmtl takes {result['ratio']:.2f} times fewer processor seconds per step than plain TRL "
        f"{result['ratio_range']}, bar {BAR}; {result['wall_ratio']:.2f} times by the clock. NF4 takes "
        f"{result['nf4_cost']:.2f} times as many as float32 weights. Largest gap of losses: "
        f"{result['largest_loss_gap']:.1e}."
    )
    print(f"Written to {path.name}.")
    return 0 if result["met"] else 1


def plain_trl(job: TrainingJob, clock: Clock) -> float:
    """Train as TRL's guide does, and return the mean loss."""
    trainer = SFTTrainer(
        model=load_quantised(job.checkpoint, device="cpu"),
        args=SFTConfig(
            output_dir=str(job.folder),
            dataset_kwargs={"skip_prepare_dataset": True},
            max_length=None,
            per_device_train_batch_size=job.config.batch_size,
            num_train_epochs=job.config.max_epochs,
            learning_rate=job.learning_rate,
            lr_scheduler_type="constant_with_warmup",
            warmup_steps=job.config.warmup_fraction,
            max_grad_norm=job.config.max_grad_norm,
            optim="adamw_torch",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            dataloader_pin_memory=False,
            seed=job.seed,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        ),
        train_dataset=as_dataset(job.train),
        processing_class=job.tokenizer,
        peft_config=job.weights.adapter,
        callbacks=[clock],
    )
    trainer.remove_callback(PrinterCallback)
    train_in_float32(trainer.model)
    loss = float(trainer.train().training_loss)
    trainer.model.save_pretrained(job.folder)
    return loss


def by_llmtl(job: TrainingJob, clock: Clock) -> float:
    """Train as the strategy does, and return the mean loss."""
    loss = train(replace(job, callbacks=(clock,))).curve[-1].train_loss
    return math.nan if loss is None else loss


def in_own_precision(job: TrainingJob, clock: Clock) -> float:
    """Train as `lora` does, on float32 weights, and return the mean loss."""
    assert isinstance(job.config, QloraConfig)
    return by_llmtl(replace(job, weights=Adapter(job.config, four_bits=False)), clock)


SIDES: dict[str, Side] = {"trl": plain_trl, "llmtl": by_llmtl, "llmtl, float32 weights": in_own_precision}


def summary(rounds: Sequence[dict[str, dict[str, float]]], *, tokens_per_step: float) -> dict[str, Any]:
    """Compare the sides: ratios of each round, their median, tokens per second, and the gap of the losses."""
    theirs, ours, unquantised = SIDES
    ratios = [each[theirs]["cpu"] / each[ours]["cpu"] for each in rounds]
    gap = max(abs(each[theirs]["loss"] / each[ours]["loss"] - 1) for each in rounds)
    return {
        "rounds": [
            {name: {key: round(x, 4) for key, x in side.items()} for name, side in each.items()} for each in rounds
        ],
        "tokens_per_second": {
            name: round(tokens_per_step / statistics.median(each[name]["wall"] for each in rounds), 1) for name in SIDES
        },
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
        "wall_ratio": round(statistics.median(each[theirs]["wall"] / each[ours]["wall"] for each in rounds), 2),
        "nf4_cost": round(statistics.median(each[ours]["cpu"] / each[unquantised]["cpu"] for each in rounds), 2),
        "largest_loss_gap": gap,
        "losses_agree": gap <= TOLERANCE,
    }


def _measured(side: Side, job: TrainingJob) -> dict[str, float]:
    """Train by one side; the mean seconds per step without the first, and the mean loss of all."""
    clock = Clock()
    with quiet(), own_randomness(), tempfile.TemporaryDirectory() as folder:
        loss = side(replace(job, folder=Path(folder)), clock)
    wall, processor = (statistics.mean(each) for each in zip(*clock.steps[1:], strict=True))
    return {"wall": wall, "cpu": processor, "loss": loss}


def _job(options: argparse.Namespace) -> TrainingJob:
    """Make the job: one epoch over as many examples as the steps take."""
    mine = chosen_intents(read_rows(options.data / "train.csv"))
    count = options.batch * options.steps
    wanted = mine[:: max(1, len(mine) // count)][:count]
    config = QloraConfig(batch_size=options.batch, dropout=0.0, max_epochs=1)
    return training_job(options.model, wanted, config=config)


def chosen_intents(known: Sequence[Example]) -> list[Example]:
    """Keep the examples of every so manieth intent, by name."""
    names = sorted({each.reference for each in known})
    chosen = {names[index * len(names) // LABELS] for index in range(LABELS)}
    return [each for each in known if each.reference in chosen]


def training_job(
    model: str, wanted: Sequence[Example], *, config: QloraConfig, dev: Sequence[Example] = (), seed: int = 0
) -> TrainingJob:
    """Make a training on zero-shot prompts as `qlora` does; the folder is still to be given."""
    checkpoint = resolved(model)
    engine = TransformersEngine.load(ModelSource(str(checkpoint), dtype="float32"), device="cpu")
    template = Template(Task("banking77", tuple(sorted({each.reference for each in wanted}))), engine)
    train_set, dev_set = (
        fitting(each, template, engine.tokenizer, max_length=engine.context_length) for each in (wanted, dev)
    )
    hidden = int(engine._model.config.hidden_size)
    engine.close()
    return TrainingJob(
        checkpoint=checkpoint,
        tokenizer=engine.tokenizer,
        train=train_set,
        dev=dev_set,
        config=config,
        weights=Adapter(config, four_bits=True),
        learning_rate=rate_for_hidden_size(hidden),
        folder=Path(),
        seed=seed,
        deadline=None,
        progress=Silent(),
        base_name=model,
    )


def _tokens(examples: Sequence[TokenizedExample]) -> int:
    return sum(len(each.input_ids) for each in examples)


def _work(examples: Sequence[TokenizedExample], batch: int) -> dict[str, Any]:
    """Describe the examples; `padded` is by how much batches in this order would grow by padding."""
    lengths = [len(each.input_ids) for each in examples]
    batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
    return {
        "examples": len(examples),
        "tokens_per_example": round(statistics.mean(lengths), 1),
        "answer_tokens_per_example": round(
            statistics.mean(sum(label != IGNORED for label in each.labels) for each in examples), 1
        ),
        "padded": round(sum(max(each) * len(each) for each in batches) / sum(lengths), 3),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare QLoRA by plain TRL and by llmtl.")
    parser.add_argument("--model", default="smollm2", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with Banking77's train.csv")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of both sides")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, all sides in each (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="steps per round, the first not timed (default: 3)")
    parser.add_argument("--batch", type=int, default=16, help="examples per step (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

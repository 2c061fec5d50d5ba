"""Compare what plain TRL and llmtl learn in the same epochs: `python evals/tuning_scores.py --model smollm2`.

Both train QLoRA on the same examples of 8 intents of Banking77, as `bench_tuning.py` does, from the same seeds and at
the same learning rate; plain TRL keeps its last weights, llmtl the best on dev. Then both adapters label messages that
neither saw: of Banking77's test set, by the engine that llmtl serves with. Bar: llmtl is not shown worse, by an exact
McNemar test over all draws together. Not covered: GPUs, speed, other learning rates, other kinds of task.
"""

import argparse
import random
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from bench_scoring import DATA, read_rows
from bench_tuning import Clock, by_llmtl, chosen_intents, plain_trl, training_job
from scipy.stats import binomtest
from written_results import circumstances, write_result

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.quiet import own_randomness, quiet
from llmtl.strategies.qlora import QloraConfig
from llmtl.task import Example, Task
from llmtl.tuning.training import TrainingJob

SIDES = {"trl": plain_trl, "llmtl": by_llmtl}
UNTUNED = "untuned"
LEVEL = 0.05


def main() -> int:
    """Train both sides in turns on every draw; exit code 0 unless llmtl is shown worse."""
    options = _options()
    torch.set_num_threads(options.threads)
    before = circumstances(sys.argv, packages=("trl", "peft", "bitsandbytes", "accelerate"))
    known, test = (chosen_intents(read_rows(options.data / f"{split}.csv")) for split in ("train", "test"))
    test = random.Random(options.seed).sample(test, min(options.test, len(test)))
    right: dict[str, list[bool]] = {name: [] for name in SIDES}
    draws: list[dict[str, Any]] = []
    for draw in range(options.draws):
        job = _job(options, known, seed=options.seed + draw)
        found = {name: _trained_and_asked(name, job, test) for name in SIDES}
        draws.append({name: _rounded(seconds, answers) for name, (seconds, answers) in found.items()})
        for name, (_, answers) in found.items():
            right[name] += answers
        print(f"Draw {draw + 1}: {draws[-1]}", flush=True)
    result = {
        "what": "accuracy of QLoRA by plain TRL and by llmtl after the same epochs on the same examples",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "model": Path(options.model).name,
        "examples": len(job.train),
        "dev_examples": len(job.dev),
        "epochs": options.epochs,
        "learning_rate": job.learning_rate,
        "test_examples": len(test),
        UNTUNED: round(_share(_asked(job, None, test)), 4),
        "draws": draws,
        **compared(right["llmtl"], right["trl"]),
    }
    path = write_result(f"tuning_scores-{Path(options.model).name}", result)
    print(
        f"llmtl {result['llmtl']:.3f}, plain TRL {result['trl']:.3f}, p = {result['p']:.3f}, untuned {result[UNTUNED]}."
    )
    print(f"Written to {path.name}.")
    return 0 if result["met"] else 1


def compared(ours: list[bool], theirs: list[bool]) -> dict[str, Any]:
    """Compare right answers to the same messages, by McNemar's exact test."""
    won = sum(mine and not other for mine, other in zip(ours, theirs, strict=True))
    lost = sum(other and not mine for mine, other in zip(ours, theirs, strict=True))
    p = float(binomtest(won, won + lost).pvalue) if won + lost else 1.0
    return {
        "llmtl": round(_share(ours), 4),
        "trl": round(_share(theirs), 4),
        "only_llmtl_right": won,
        "only_trl_right": lost,
        "p": round(p, 4),
        "met": won >= lost or p > LEVEL,
    }


def _job(options: argparse.Namespace, known: list[Example], *, seed: int) -> TrainingJob:
    """Draw so many examples per intent for training and for dev, and make the training."""
    drawn = random.Random(seed).sample(known, len(known))
    train: list[Example] = []
    dev: list[Example] = []
    for name in sorted({each.reference for each in drawn}):
        of_intent = [each for each in drawn if each.reference == name]
        train += of_intent[: options.per_intent]
        dev += of_intent[options.per_intent : options.per_intent + options.dev_per_intent]
    random.Random(seed).shuffle(train)
    config = QloraConfig(batch_size=options.batch, dropout=0.0, max_epochs=options.epochs)
    return training_job(options.model, train, config=config, dev=dev, seed=seed)


def _trained_and_asked(name: str, job: TrainingJob, test: list[Example]) -> tuple[float, list[bool]]:
    """Train by one side; the seconds it took, and which messages its adapter labels right."""
    with quiet(), own_randomness(), tempfile.TemporaryDirectory() as folder:
        mine = replace(job, folder=Path(folder))
        begun = time.perf_counter()
        SIDES[name](mine, Clock())
        return time.perf_counter() - begun, _asked(mine, mine.folder, test)


def _asked(job: TrainingJob, adapter: Path | None, test: list[Example]) -> list[bool]:
    """Say which messages are labelled right with that adapter, or without one."""
    source = ModelSource(str(job.checkpoint), dtype="float32", adapter=adapter)
    engine = TransformersEngine.load(source, device="cpu")
    task = Task("banking77", tuple(sorted({each.reference for each in test})))
    found = LabelPredictor(task, engine, Template(task, engine)).predict([each.input for each in test])
    engine.close()
    return [answer.answer == each.reference for answer, each in zip(found, test, strict=True)]


def _share(right: list[bool]) -> float:
    return sum(right) / len(right)


def _rounded(seconds: float, right: list[bool]) -> dict[str, float]:
    return {"accuracy": round(_share(right), 4), "seconds": round(seconds, 1)}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare what plain TRL and llmtl learn in the same epochs.")
    parser.add_argument("--model", default="smollm2", help="name or folder of a model (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with Banking77's train.csv and test.csv")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads of both sides")
    parser.add_argument("--draws", type=int, default=2, help="draws of examples, each with its seed (default: 2)")
    parser.add_argument("--per-intent", type=int, default=20, help="training examples per intent (default: 20)")
    parser.add_argument("--dev-per-intent", type=int, default=5, help="dev examples per intent (default: 5)")
    parser.add_argument("--test", type=int, default=200, help="test examples in all (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of both sides (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=16, help="examples per step (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="the first draw's seed (default: %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

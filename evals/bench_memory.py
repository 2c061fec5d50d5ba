"""Compare the memory forecast for a training with the peak that was measured: `python evals/bench_memory.py`.

Each case is a process of its own, which trains for some steps on a CPU; the peak is what its resident memory rose by
from before the model was loaded, and what the forecast is for the same job. Cases are pairs of a model and a way to
fine-tune, each with two shapes of a step: few short examples, and more and longer ones. Not covered: GPUs, where
`evals/gpu/measure.py` compares the same forecast with what torch allocated.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import save_file
from written_results import RESULTS, circumstances, write_result

from llmtl.encoders.fine_tuning import TrainingText, TuningPlan
from llmtl.encoders.fine_tuning import train as train_network
from llmtl.encoders.language_network import AdapterShape, LanguageNetwork
from llmtl.encoders.network import Scored, Scoring
from llmtl.encoders.windows import Window
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import fetch_checkpoint
from llmtl.engines.transformers.loading import load_tokenizer
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.strategies.dpo import DpoChoices
from llmtl.strategies.full import FullChoices
from llmtl.strategies.hybrid import HybridChoices
from llmtl.strategies.lora import LoraChoices
from llmtl.strategies.qlora import QloraConfig
from llmtl.tuning import training
from llmtl.tuning.needed_memory import GIB, DecoderSizes, MemoryForecast, forecast
from llmtl.tuning.pair_training import GoneOnWith, PreferenceJob
from llmtl.tuning.quantised import lora_config
from llmtl.tuning.tokenized import IGNORED, TokenizedExample
from llmtl.tuning.trained_weights import Adapter, OwnWeights

MODELS = ("pocket-llama", "smollm2")
STEPS = 2
ANSWER = 4
"""Tokens of an answer."""
GOAL = 0.2


@dataclass(frozen=True)
class Load:
    """Examples of a step, their tokens, and how many of those are the same in all of them."""

    batch: int
    tokens: int
    shared: int


LOADS = {"8 short": Load(8, 64, 48), "16 long": Load(16, 160, 64)}


def weights_of(way: str) -> Any:
    """Say what is trained, with the defaults of the strategy."""
    if way in ("qlora", "lora"):
        config = QloraConfig() if way == "qlora" else LoraChoices()
        return Adapter(config, four_bits=way == "qlora")
    return OwnWeights("float32", frozen=HybridChoices().frozen if way == "hybrid" else 0.0)


def tokens(load: Load, *, vocabulary: int) -> list[list[int]]:
    """Draw the ids of enough examples for the steps; lengths differ by up to a quarter of what is an example's own."""
    torch.manual_seed(0)
    beginning = torch.randint(5, vocabulary, (load.shared,)).tolist()
    own = load.tokens - load.shared
    lengths = [own - int(torch.randint(0, own // 4, ())) for _ in range(load.batch * STEPS)]
    return [beginning + torch.randint(5, vocabulary, (length,)).tolist() for length in lengths]


def answered(rows: list[list[int]]) -> tuple[TokenizedExample, ...]:
    """Let the last tokens of each row be the answer that is learned."""
    return tuple(TokenizedExample(tuple(row), (*[IGNORED] * (len(row) - ANSWER), *row[-ANSWER:])) for row in rows)


def language_model(checkpoint: Path, way: str, load: Load) -> tuple[MemoryForecast, Callable[[], None]]:
    """Make the training of a language model, as the strategies do."""
    weights = weights_of(way)
    base = QloraConfig if way == "qlora" else LoraChoices if way == "lora" else FullChoices
    config = base(batch_size=load.batch, max_epochs=1)
    job = training.TrainingJob(
        checkpoint=checkpoint,
        tokenizer=load_tokenizer(ModelSource(str(checkpoint))),
        train=answered(tokens(load, vocabulary=_sizes(checkpoint).vocabulary)),
        dev=(),
        config=config,
        weights=weights,
        learning_rate=1e-5,
        folder=Path(tempfile.mkdtemp()) / "kept",
        seed=0,
        deadline=None,
        progress=Silent(),
        base_name=checkpoint.name,
    )

    def run() -> None:
        training.train(job)

    return training.memory_needed(job, load.batch), run


def class_head(checkpoint: Path, load: Load) -> tuple[MemoryForecast, Callable[[], None]]:
    """Make the training of a classification head on a language model."""
    from llmtl.heads.headed_model import step_of, trained_of
    from llmtl.strategies.class_head import ClassHeadChoices

    config, outputs = ClassHeadChoices(), 6
    drawn = tokens(load, vocabulary=_sizes(checkpoint).vocabulary)
    windows = [(Window(tuple(row), ((0, 0),) * len(row)),) for row in drawn]
    rows = [TrainingText(each, at % outputs) for at, each in enumerate(windows)]
    plan = TuningPlan(1e-4, 1, load.batch, config.warmup_fraction, config.weight_decay, 1.0, 3, 0, what="model")
    adapter = AdapterShape(config.rank, config.alpha, config.dropout)
    needed = forecast(
        _sizes(checkpoint),
        trained_of(adapter, outputs),
        step_of(windows, load.batch, dev=()),
        device="cpu",
    )

    def run() -> None:
        torch.manual_seed(0)
        scoring = Scoring(Scored.TEXT, outputs, load.tokens)
        network = LanguageNetwork.start(checkpoint, scoring, adapter, device="cpu")
        train_network(network, rows, plan, judge=None, progress=Silent())

    return needed, run


def preferences(checkpoint: Path, load: Load) -> tuple[MemoryForecast, Callable[[], None]]:
    """Make the training on pairs, each of them two answers behind the same prompt, from an adapter that is untrained.

    A pair counts as two examples: half as many pairs are a step.
    """
    folder, sizes, pairs = Path(tempfile.mkdtemp()), _sizes(checkpoint), load.batch // 2
    write_adapter(sizes, folder / "start")
    examples = answered(tokens(load, vocabulary=sizes.vocabulary)[: pairs * STEPS])
    job = PreferenceJob(
        checkpoint=checkpoint,
        tokenizer=load_tokenizer(ModelSource(str(checkpoint))),
        train=examples,
        rejected=tuple(_with_other_answer(each) for each in examples),
        dev=(),
        config=DpoChoices(preference_epochs=1, preference_batch_size=pairs).on_pairs(),
        weights=GoneOnWith.at(folder / "start"),
        learning_rate=1e-6,
        folder=folder / "kept",
        seed=0,
        deadline=None,
        progress=Silent(),
        base_name=checkpoint.name,
    )

    def run() -> None:
        training.train(job)

    return training.memory_needed(job, pairs), run


def write_adapter(sizes: DecoderSizes, folder: Path) -> None:
    """Write an adapter that changes nothing yet, without loading the model, whose memory is to be measured."""
    config = DpoChoices(target_modules=tuple(sizes.linear))
    torch.manual_seed(0)
    weights = {}
    for layer in range(sizes.layers):
        for name, (inputs, outputs) in sizes.linear.items():
            part = "self_attn" if name in ("q_proj", "k_proj", "v_proj", "o_proj") else "mlp"
            place = f"base_model.model.model.layers.{layer}.{part}.{name}"
            weights[f"{place}.lora_A.weight"] = torch.rand(config.rank, inputs) / inputs
            weights[f"{place}.lora_B.weight"] = torch.zeros(outputs, config.rank)
    folder.mkdir()
    lora_config(config).save_pretrained(str(folder))
    save_file(weights, folder / "adapter_model.safetensors")


def _with_other_answer(example: TokenizedExample) -> TokenizedExample:
    other = (*example.input_ids[:-ANSWER], *reversed(example.input_ids[-ANSWER:]))
    return TokenizedExample(other, (*example.labels[:-ANSWER], *other[-ANSWER:]))


def measure(model: str, way: str, name: str) -> dict[str, Any]:
    """Train in this process, and say what its memory rose by."""
    needed, run = _made(model, way, name)
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is counted from here
    run()
    peak = _peak() - before
    return _compared(needed, round(peak / GIB, 4))


def _made(model: str, way: str, name: str) -> tuple[MemoryForecast, Callable[[], None]]:
    """Make the training of a case, with its forecast."""
    checkpoint = resolve(model) or fetch_checkpoint(model)
    if way == "class-head":
        return class_head(checkpoint, LOADS[name])
    if way == "dpo":
        return preferences(checkpoint, LOADS[name])
    return language_model(checkpoint, way, LOADS[name])


def _compared(needed: MemoryForecast, measured_gib: float) -> dict[str, Any]:
    parts = ("weights", "moments", "activations", "gradients", "runtime")
    return {
        "forecast_gib": round(needed.peak_gib, 4),
        "measured_gib": measured_gib,
        "forecast_by_measured": round(needed.peak_gib / measured_gib, 3),
        "forecast": {part: round(getattr(needed, part) / GIB, 4) for part in parts},
    }


def main() -> int:
    """Measure all cases one after the other; write them with how many of them the forecast is right for."""
    options = _options()
    if options.case:
        print("\n" + json.dumps(measure(*options.case)))
        return 0
    if options.again:
        return again(options.name)
    cases = [(model, way, load) for model in options.models for way in options.ways for load in options.loads]
    found = _before(options.name) if options.more else []
    result: dict[str, Any] = {
        "what": "the peak of trainings' memory on a CPU, forecast and measured",
        **circumstances(sys.argv, packages=("trl", "peft", "bitsandbytes")),
        "loads": {name: vars(load) for name, load in LOADS.items()},
        "steps": STEPS,
        "goal": GOAL,
        "cases": found,
    }
    for case in cases:
        named = dict(zip(("model", "way", "load"), case, strict=True))
        if any(named.items() <= each.items() for each in found):
            continue
        now = circumstances([])
        said = _in_process(case)
        found.append(named | said | {name: now[name] for name in ("date", "load_average")})
        print(", ".join(case), said, flush=True)
        _write(options.name, result)
    return 1 if any("failed" in each for each in found) else 0


def _before(name: str) -> list[dict[str, Any]]:
    """Read the cases that were measured before, each with its own circumstances where those were not all the same."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    then = {name: result[name] for name in ("date", "load_average")}
    return [then | each for each in result["cases"] if "failed" not in each]


def again(name: str) -> int:
    """Forecast the cases of a result anew, beside the peaks that were measured then."""
    result = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    for case in result["cases"]:
        needed, _ = _made(case["model"], case["way"], case["load"])
        case.update(_compared(needed, case["measured_gib"]))
    _write(name, result)
    return 0


def _write(name: str, result: dict[str, Any]) -> None:
    ratios = [each["forecast_by_measured"] for each in result["cases"] if "forecast_by_measured" in each]
    result["within_goal"] = sum(abs(each - 1) <= GOAL for each in ratios)
    result["of"] = len(result["cases"])
    write_result(name, result)


def _in_process(case: tuple[str, str, str]) -> dict[str, Any]:
    command = [sys.executable, __file__, "--case", *case]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ, timeout=900)
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        return {"failed": (ended.stderr or ended.stdout).strip().splitlines()[-3:]}
    return dict(json.loads(lines[-1]))


def _peak() -> int:
    """Read the largest resident memory since it was last counted."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def _sizes(checkpoint: Path) -> DecoderSizes:
    return DecoderSizes.of(json.loads((checkpoint / "config.json").read_text(encoding="utf-8")))


def _options() -> argparse.Namespace:
    ways = ("qlora", "lora", "hybrid", "full", "class-head", "dpo")
    parser = argparse.ArgumentParser(description="Compare the memory forecast with measured peaks.")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--ways", nargs="+", choices=ways, default=list(ways))
    parser.add_argument("--loads", nargs="+", choices=list(LOADS), default=list(LOADS))
    parser.add_argument("--more", action="store_true", help="add the cases that the result lacks to it")
    parser.add_argument("--again", action="store_true", help="forecast the cases of the result anew; measure nothing")
    parser.add_argument("--name", default="bench_memory", help="the name of the result (default: %(default)s)")
    parser.add_argument("--case", nargs=3, metavar=("MODEL", "WAY", "LOAD"), help="measure one case, here")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

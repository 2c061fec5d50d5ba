"""Measure what a GPU does: `python evals/gpu/measure.py`, at most 8 minutes, offline, on weights made there.

For LLaMA-8B and Mistral-7B shapes with random weights: QLoRA, its prompts' beginning shared and not, LoRA on bfloat16
weights, all weights and label scoring behind a shared prefix (tokens and examples per second, the peak of allocated
memory beside what was forecast).
Then with the pocket model: do bfloat16 and float32 give the same labels, and does a whole recipe run? Every part is a
process of its own, written as soon as it ends, so that one that fails or runs out of time costs no other.

`--shapes tiny-llama` runs anywhere in seconds: the script itself is tested so. Not covered: several GPUs, vLLM.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from shapes import SHAPES, write_checkpoint
from written_results import circumstances, write_result

from llmtl.data.config import DataConfig
from llmtl.data.examples import load_examples
from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import TrainingError
from llmtl.hardware import free_gib
from llmtl.pocket import resolve
from llmtl.progress import Silent
from llmtl.prompting.template import Template
from llmtl.strategies.qlora import QloraConfig
from llmtl.task import Example, Task
from llmtl.tuning import training
from llmtl.tuning.needed_memory import MemoryForecast
from llmtl.tuning.tokenized import fitting
from llmtl.tuning.trained_weights import Adapter, OwnWeights

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "recipes" / "support"
GIB = 2**30


@dataclass(frozen=True)
class Work:
    """How much is measured: examples of a step, steps (the first is not timed) and prompts to score."""

    batch: int = 16
    steps: int = 6
    prompts: int = 512


@dataclass
class Clock(TrainerCallback):
    """Measures the seconds of each step."""

    seconds: list[float] = field(default_factory=list)

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Start a step."""
        _settle()
        self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """End it."""
        _settle()
        self.seconds.append(time.perf_counter() - self._begun)


def tune(checkpoint: Path, work: Work, *, shared: bool = True, four_bits: bool | None = True) -> dict[str, Any]:
    """Train for some steps; with `shared`, what a batch's prompts begin with is computed once.

    An adapter on weights in four bits or in 16; with `four_bits=None` all weights.
    """
    training.SHARING_PARAMETERS = 0 if shared else sys.maxsize
    template, tokenizer = _wording()
    found = _examples()
    wanted = [found[index % len(found)] for index in range(work.batch * work.steps)]
    examples = fitting(wanted, template, tokenizer, max_length=2048)
    clock, config = Clock(), QloraConfig(batch_size=work.batch, max_epochs=1)
    weights = OwnWeights("bfloat16") if four_bits is None else Adapter(config, four_bits=four_bits)
    with tempfile.TemporaryDirectory() as folder:
        job = training.TrainingJob(
            checkpoint=checkpoint,
            tokenizer=tokenizer,
            train=examples,
            dev=(),
            config=config,
            weights=weights,
            learning_rate=1e-5 if four_bits is None else 1e-4,
            folder=Path(folder),
            seed=0,
            deadline=None,
            progress=Silent(),
            base_name=checkpoint.name,
            callbacks=(clock,),
        )
        before = _free()
        try:
            outcome = training.train(job)
        except TrainingError as error:  # the forecast says that it does not fit: that is a result, too
            return {"refused": str(error), "free_before_gib": round(before, 1)}
        needed = training.memory_needed(job, outcome.batch)
    step = statistics.median(clock.seconds[1:])
    return {
        "tokens_per_example": round(statistics.mean(len(each.input_ids) for each in examples), 1),
        "seconds_per_step": round(step, 4),
        "tokens_per_second": round(outcome.trained_tokens / len(clock.seconds) / step, 1),
        "examples_per_second": round(work.batch / step, 2),
        "at_once": outcome.batch,
        "forecast_gib": round(needed.peak_gib, 2),
        **_compared(needed, before),
    }


def score(checkpoint: Path, work: Work) -> dict[str, Any]:
    """Score the labels behind prompts that begin alike; the first call, which warms up, is not timed."""
    engine = TransformersEngine.load(ModelSource(str(checkpoint)))
    found, task = _examples(), _task()
    template = Template(task, engine)
    prompts = [template.prompt(found[index % len(found)].text) for index in range(work.prompts)]
    engine.score(prompts[: min(64, len(prompts))], template.answers())
    _settle()
    begun = time.perf_counter()
    scores = engine.score(prompts, template.answers())
    _settle()
    seconds = time.perf_counter() - begun
    tokens = sum(each.prompt_tokens for each in scores)
    return {
        "labels": len(task.labels),
        "examples_per_second": round(len(prompts) / seconds, 2),
        "prompt_tokens_per_second": round(tokens / seconds, 1),
        "prompt_tokens_computed": round(1 - sum(each.cached_tokens for each in scores) / tokens, 4),
        **_peak(),
    }


def agree(checkpoint: Path, work: Work) -> dict[str, Any]:
    """Compare the labels of the pocket model in bfloat16 with those in float32."""
    found, task = _examples()[: work.prompts], _task()
    answers: dict[str, list[int]] = {}
    for dtype in ("float32", "bfloat16"):
        engine = TransformersEngine.load(ModelSource(str(checkpoint), dtype=dtype))  # type: ignore[arg-type]
        template = Template(task, engine)
        scored = engine.score([template.prompt(each.text) for each in found], template.answers())
        answers[dtype] = [each.choice for each in scored]
        engine.close()
    same = sum(one == other for one, other in zip(*answers.values(), strict=True))
    return {"examples": len(found), "same_labels": same}


def run_recipe() -> dict[str, Any]:
    """Run a whole recipe of the pocket model."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        begun = time.perf_counter()
        command = [sys.executable, "-m", "llmtl", "run", str(ROOT / "recipes" / "few-labels"), "--out", str(out)]
        ended = subprocess.run([*command, "--quiet"], capture_output=True, text=True, check=False)
        found: dict[str, Any] = {"code": ended.returncode, "seconds": round(time.perf_counter() - begun, 1)}
        if ended.returncode:
            return found | {"said": (ended.stderr or ended.stdout).strip().splitlines()[-3:]}
        decision = json.loads((out / "decision.json").read_text(encoding="utf-8"))
        return found | {key: decision[key] for key in ("verdict", "winner") if key in decision}


PARTS: dict[str, Callable[[Path, Work], dict[str, Any]]] = {
    "score": score,
    "qlora": tune,
    "qlora, prompts not shared": lambda checkpoint, work: tune(checkpoint, work, shared=False),
    "lora": lambda checkpoint, work: tune(checkpoint, work, four_bits=False),
    "full": lambda checkpoint, work: tune(checkpoint, work, four_bits=None),
}
POCKET_PARTS: dict[str, Callable[[Path, Work], dict[str, Any]]] = {
    "bfloat16 agrees": agree,
    "recipe": lambda checkpoint, work: run_recipe(),
}


def main() -> int:
    """Measure part by part within the time; exit code 0 if every part was measured."""
    options = _options()
    work = Work(options.batch, options.steps, options.prompts)
    if options.write:
        made = write_checkpoint(
            options.write, options.checkpoint, device="cuda" if torch.cuda.is_available() else "cpu"
        )
        print("\n" + json.dumps({"parameters": made}))
        return 0
    if options.part:
        measured = (PARTS | POCKET_PARTS)[options.part](options.checkpoint, work)
        print("\n" + json.dumps(measured))
        return 0
    ends = time.monotonic() + options.seconds
    result: dict[str, Any] = {
        "what": "training and label scoring on shapes with random weights",
        **circumstances(sys.argv, packages=("trl", "peft", "bitsandbytes", "accelerate")),
        **_device(),
        "batch": work.batch,
        "shapes": {},
    }
    with tempfile.TemporaryDirectory() as folder:
        for name in options.shapes:
            checkpoint = Path(folder) / name
            said: dict[str, Any] = {"like": SHAPES[name].like}
            result["shapes"][name] = said
            said |= _in_process(["--write", name, "--checkpoint", str(checkpoint)], ends)
            for part in PARTS:
                said[part] = _in_process(_of(part, checkpoint, work), ends)
                _keep(options.name, result, f"{name}, {part}: {said[part]}")
            shutil.rmtree(checkpoint, ignore_errors=True)
    pocket = resolve("pocket-llama")
    assert pocket is not None
    result["pocket"] = {}
    for part in POCKET_PARTS:
        result["pocket"][part] = _in_process(_of(part, pocket, work), ends)
        _keep(options.name, result, f"pocket model, {part}: {result['pocket'][part]}")
    return 1 if '"failed"' in json.dumps(result) else 0


def _of(part: str, checkpoint: Path, work: Work) -> list[str]:
    sizes = ["--batch", str(work.batch), "--steps", str(work.steps), "--prompts", str(work.prompts)]
    return ["--part", part, "--checkpoint", str(checkpoint), *sizes]


def _keep(name: str, result: dict[str, Any], line: str) -> None:
    print(line, flush=True)
    write_result(name, result)


def _in_process(arguments: list[str], ends: float) -> dict[str, Any]:
    """Run this script for one part; what it printed last, or why there is nothing."""
    left = ends - time.monotonic()
    if left < 5:
        return {"failed": "no time was left"}
    try:
        ended = subprocess.run(
            [sys.executable, __file__, *arguments], capture_output=True, text=True, check=False, timeout=left
        )
    except subprocess.TimeoutExpired:
        return {"failed": f"not done within {left:.0f} s"}
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        return {"failed": (ended.stderr or ended.stdout).strip().splitlines()[-5:]}
    return dict(json.loads(lines[-1]))


def _examples() -> tuple[Example, ...]:
    return load_examples(DataConfig(path=str(DATA / "data.csv"), text="text", label="label")).examples


def _task() -> Task:
    return Task("support-mail", tuple(sorted({each.reference for each in _examples()})))


def _wording() -> tuple[Template, Any]:
    """Make the template and the tokenizer, which all shapes have from the pocket model."""
    engine = TransformersEngine.load(ModelSource(str(resolve("pocket-llama"))), device="cpu")
    return Template(_task(), engine), engine.tokenizer


def _settle() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _peak() -> dict[str, float]:
    if not torch.cuda.is_available():
        return {}
    return {"peak_gib": round(torch.cuda.max_memory_allocated() / GIB, 2)}


def _compared(needed: MemoryForecast, before: float) -> dict[str, float]:
    """Compare the forecast with the peak of what torch allocated; paged moments are not a part of either."""
    if not torch.cuda.is_available():
        return {}
    peak = torch.cuda.max_memory_allocated()
    found = (needed.peak - needed.moments) / peak
    return {**_peak(), "forecast_without_moments_by_peak": round(found, 3), "free_before_gib": round(before, 1)}


def _free() -> float:
    return free_gib("cuda" if torch.cuda.is_available() else "cpu")


def _device() -> dict[str, Any]:
    if not torch.cuda.is_available():
        return {}
    properties = torch.cuda.get_device_properties(0)
    return {
        "device": properties.name,
        "memory_gib": round(properties.total_memory / GIB, 1),
        "cuda": torch.version.cuda,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure training and label scoring on a GPU.")
    parser.add_argument("--shapes", nargs="+", choices=sorted(SHAPES), default=["llama-8b", "mistral-7b"])
    parser.add_argument("--seconds", type=float, default=480, help="time for everything (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=Work.batch, help="examples per step (default: %(default)s)")
    parser.add_argument(
        "--steps", type=int, default=Work.steps, help="steps, the first not timed (default: %(default)s)"
    )
    parser.add_argument("--prompts", type=int, default=Work.prompts, help="prompts to score (default: %(default)s)")
    parser.add_argument("--name", default="gpu", help="the name of the result (default: %(default)s)")
    parser.add_argument("--part", choices=[*PARTS, *POCKET_PARTS], help="measure one part of one checkpoint, here")
    parser.add_argument("--write", choices=sorted(SHAPES), help="write the checkpoint of a shape")
    parser.add_argument("--checkpoint", type=Path, help="the folder for --part and --write")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""What do remedies bring back of what a destructive rate makes a model forget: `python evals/forgetting.py`.

The rate is the rule's times ten. Each strategy tunes the model on messages of `recipes/quickstart` without a remedy,
with replay, and with elastic weight consolidation of fixed and of chosen strength, by the same examples, seed and
epochs, and keeps the last weights. Measured are the cross-entropy on general English before and after, with the paired
95% interval over passages of its rise, and the share of held-out messages that are answered right. Strengths are chosen
on other passages than those measured here. Not covered: tuning at a usual rate, several seeds, other data.
"""

import argparse
import csv
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Any

from bench_scoring import resolved
from written_results import circumstances, processor_seconds, write_result

from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.engine_cache import EngineCache
from llmtl.findings import TrainingCurve, finding
from llmtl.metrics.intervals import wilson
from llmtl.pipeline.forgetting_steps import compare
from llmtl.pipeline.general_scores import GeneralScores, Sampled, general_scores
from llmtl.progress import Silent
from llmtl.strategies.table import OWN
from llmtl.strategy import AnyStrategy, FitContext
from llmtl.task import Example, Task

LIMIT = 0.1
REMEDIES: dict[str, dict[str, Any]] = {
    "none": {},
    "replay 1%": {"replay": 0.01},
    "replay 5%": {"replay": 0.05},
    "ewc 1": {"ewc": 1.0},
    "ewc auto": {"ewc": "auto"},
}


def main() -> int:
    """Measure all; exit code 0 if the destructive rate is caught and the chosen strength stays within the limit."""
    options = _options()
    before = circumstances(sys.argv, packages=("trl", "peft", "accelerate"))
    engines = EngineCache(ModelSource(str(resolved(options.model))))
    task, train, held_out = _examples(options)
    base = _scores(engines, None, options.passages)
    result: dict[str, Any] = {"what": "remedies against forgetting at a destructive rate", **before}
    result |= {"model": options.model, "times_the_rule": options.times, "epochs": options.epochs, "limit": LIMIT}
    result |= {"train": len(train), "held_out": len(held_out), "passages": options.passages, "found": []}
    for name in options.strategies:
        for remedy in options.remedies:
            row = _measured(options, name, remedy, base, (task, train, held_out), engines)
            result["found"].append(row)
            result["load_average_after"] = circumstances(sys.argv)["load_average"]
            path = write_result(options.name or f"forgetting-{options.model}", result)
            print(row, flush=True)
    print("\n".join(table(result["found"])))
    print(f"Written to {path.name}.")
    return 0 if all(map(_as_wanted, result["found"])) else 1


def _as_wanted(row: dict[str, Any]) -> bool:
    """Say whether the limit is broken without a remedy and kept with a chosen strength; others are only reported."""
    if row["remedy"] == "none":
        return bool(row["rise"] > LIMIT)
    return row["remedy"] != "ewc auto" or bool(row["rise"] <= LIMIT)


def _measured(
    options: argparse.Namespace,
    name: str,
    remedy: str,
    base: GeneralScores,
    given: tuple[Task, tuple[Example, ...], tuple[Example, ...]],
    engines: EngineCache,
) -> dict[str, Any]:
    task, train, held_out = given
    strategy, source = _strategy(options, name, remedy), ModelSource(str(resolved(options.model)))
    start, used = time.perf_counter(), processor_seconds()
    with tempfile.TemporaryDirectory() as folder:
        context = FitContext(
            task, train, (), source, engines.load, Path(folder), most_forgetting=LIMIT, progress=Silent()
        )
        fitted = strategy.fit(context)
        took = {"seconds": time.perf_counter() - start, "processor_seconds": processor_seconds() - used}
        served: Any = fitted.predictor.served()
        after = compare(base, _scores(engines, served.tuned, options.passages)).text
        answers = fitted.predictor.predict([example.text for example in held_out])
        engines.release()
    right = sum(made.answer == example.reference for made, example in zip(answers, held_out, strict=True))
    interval = wilson(right, len(held_out))
    curve = finding(fitted.findings, TrainingCurve)
    assert curve is not None
    return {
        "strategy": name,
        "remedy": remedy,
        "learning_rate": curve.learning_rate,
        "cross_entropy_before": round(after.before, 4),
        "cross_entropy_after": round(after.after, 4),
        "rise": round(after.rise.value, 4),
        "rise_ci95": [round(after.rise.low, 4), round(after.rise.high, 4)],
        "accuracy": round(right / len(held_out), 4),
        "accuracy_ci95": [round(interval.low, 4), round(interval.high, 4)],
        "strengths": [[each.strength, each.rise, each.high] for each in curve.strengths],
        **{key: round(value, 1) for key, value in took.items()},
    }


def _strategy(options: argparse.Namespace, name: str, remedy: str) -> AnyStrategy:
    found = next(each for each in OWN if each.facts.name == name)
    info = inspect_checkpoint(str(resolved(options.model)))
    rate = options.times * found().usual_rate(info)  # type: ignore[attr-defined]
    fixed = {"learning_rate": rate, "max_epochs": options.epochs, "find_learning_rate": "never"}
    return found(found.section(**fixed, **REMEDIES[remedy]))


def _scores(engines: EngineCache, tuned: Path | None, passages: int) -> GeneralScores:
    made = general_scores(engines.load(tuned), Sampled(passages, 0), progress=Silent(), told="general")
    assert made is not None
    return made


def _examples(options: argparse.Namespace) -> tuple[Task, tuple[Example, ...], tuple[Example, ...]]:
    """Read the messages, half of them to train on and the others held out."""
    with (options.recipe / "data.csv").open(encoding="utf-8") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    Random(0).shuffle(rows)
    examples = tuple(Example(str(at), text, label) for at, (text, label) in enumerate(rows))
    half = len(examples) // 2
    labels = tuple(sorted({label for _, label in rows}))
    task = Task("routing", labels, "Route the customer message to the queue that handles it.")
    return task, examples[:half], examples[half:]


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Write the rows as a table of Markdown."""
    lines = [
        "| strategy | remedy | general English | 95% interval | accuracy | training, processor s |",
        "|---" * 6 + "|",
    ]
    for row in rows:
        low, high = row["rise_ci95"]
        chosen = f" ({row['strengths'][-1][0]:g})" if row["strengths"] else ""
        cells = [
            f"`{row['strategy']}`",
            f"{row['remedy']}{chosen}",
            f"{row['rise']:+.1%}",
            f"{low:+.1%} to {high:+.1%}",
        ]
        cells += [f"{row['accuracy']:.3f}", f"{row['processor_seconds']:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure remedies against forgetting at a destructive rate.")
    parser.add_argument("--model", default="pocket-llama", help="default: %(default)s")
    parser.add_argument("--strategies", nargs="+", default=["lora", "full"], help="default: %(default)s")
    parser.add_argument("--remedies", nargs="+", default=list(REMEDIES), choices=list(REMEDIES))
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart"), help="default: %(default)s")
    parser.add_argument("--times", type=float, default=10.0, help="times the rule's rate; default: %(default)s")
    parser.add_argument("--epochs", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--passages", type=int, default=200, help="default: %(default)s")
    parser.add_argument("--name", help="the name of the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

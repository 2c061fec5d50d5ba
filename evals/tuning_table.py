"""Lay every way to fine-tune the language model side by side: `python evals/tuning_table.py`.

Each strategy of the table that tunes the run's own model is measured by a run of its own, in a process of its own, on
the recipe's data, model and seed: its score on dev and test, the seconds and the peak memory of its fit, how far its
training came, what it forgot of general English, and its latency. Beside it the untuned model's zero-shot prompt. Not
covered: which one is best for another task or model; encoders.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from written_results import circumstances, write_result

import llmtl
from llmtl.findings import PreferenceStage, TrainingCurve, finding
from llmtl.kinds.kind import Kind
from llmtl.settings import load_recipe
from llmtl.strategies.table import OWN
from llmtl.strategy import Role, Runs

UNTUNED = "zero-shot"
COLUMNS = ("strategy", "test", "95% interval", "dev", "fit, s", "epochs", "GiB", "forgot", "p95, ms")


def main() -> int:
    """Measure all; exit code 0 if every strategy was."""
    options = _options()
    options.strategies = options.strategies or [UNTUNED, *tuning(load_recipe(options.recipe).task.kind)]
    if options.one:
        print("\n" + json.dumps(measured(options, options.one)))
        return 0
    before = circumstances(sys.argv, packages=("trl", "peft", "bitsandbytes", "accelerate"))
    rows: dict[str, Any] = {}
    result = {"what": "every way to fine-tune the language model, on one recipe", **before}
    result |= {"recipe": options.recipe.name, "overrides": options.override, "strategies": rows}
    for name in options.strategies:
        rows[name] = _in_process(options, name)
        result["load_average_after"] = circumstances(sys.argv)["load_average"]
        path = write_result(options.name or f"tuning_table-{options.recipe.name}", result)
        print(f"{name}: {rows[name]}", flush=True)
    print("\n".join(table(rows)))
    print(f"Written to {path.name}.")
    return 1 if any("failed" in row for row in rows.values()) else 0


def measured(options: argparse.Namespace, name: str) -> dict[str, Any]:
    """Run the recipe with one strategy and the baselines of its kind."""
    with tempfile.TemporaryDirectory() as folder:
        run = llmtl.run(
            options.recipe,
            out=Path(folder) / "run",
            strategies=["majority", name],
            overrides=["learning_curve.enabled=false", *options.override],
            progress=False,
        )
        found = next(item for item in run.decision.strategies if item.name == name)
        by_split = {item.split: item for item in run.evaluations if item.strategy == name}
        evaluation, forgot = by_split["test"], by_split["dev"].forgetting
        fit = run.fit(name)
        curve, pairs = finding(fit.findings, TrainingCurve), finding(fit.findings, PreferenceStage)
        assert found.test is not None
        return {
            "metric": str(run.decision.metric),
            "test": round(found.test.value, 4),
            "ci95": [round(value, 4) for value in found.test.ci95],
            "test_examples": evaluation.n,
            "dev": round(found.dev.value, 4),
            "fit_seconds": round(fit.train_seconds or 0.0, 1),
            "epochs": None if curve is None else round(curve.points[-1].epoch, 2),
            "stopped_by": None if curve is None else curve.stopped_by,
            "peak_memory_gib": None if curve is None else round(curve.peak_memory_gib, 2),
            "forgot_share": None if forgot is None else round(forgot.text.rise.value, 4),
            "p95_ms": None if evaluation.p95_ms is None else round(evaluation.p95_ms, 1),
            **({} if pairs is None else {"preferences": _rounded(asdict(pairs))}),
        }


def _rounded(value: Any) -> Any:
    """Round all numbers in JSON values to four digits behind the point; learning rates stand as they are."""
    if isinstance(value, dict):
        return {name: each if name == "learning_rate" else _rounded(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def table(rows: dict[str, Any]) -> list[str]:
    """Write the rows as a table of Markdown."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    for name, row in rows.items():
        if "failed" in row:
            lines.append(f"| `{name}` | {row['failed'][-1]} |" + " |" * (len(COLUMNS) - 2))
            continue
        low, high = row["ci95"]
        forgot = "" if row["forgot_share"] is None else f"{100 * row['forgot_share']:.1f}%"
        cells = [f"`{name}`", f"{row['test']:.3f}", f"{low:.2f} to {high:.2f}", f"{row['dev']:.3f}"]
        cells += [f"{row['fit_seconds']:.0f}", _or_empty(row["epochs"]), _or_empty(row["peak_memory_gib"]), forgot]
        lines.append(f"| {' | '.join([*cells, _or_empty(row['p95_ms'])])} |")
    return lines


def _or_empty(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _in_process(options: argparse.Namespace, name: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--recipe", str(options.recipe), "--one", name]
    command += [part for each in options.override for part in ("--override", each)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = ended.stdout.strip().splitlines()
    if ended.returncode or not lines:
        return {"failed": (ended.stderr or ended.stdout).strip().splitlines()[-3:]}
    return dict(json.loads(lines[-1]))


def tuning(kind: Kind) -> tuple[str, ...]:
    """Name the strategies that tune the run's own language model for a kind of task, in the table's order."""
    found = (each.facts for each in OWN if each.facts.role is Role.TUNING and each.facts.runs is Runs.BASE_MODEL)
    return tuple(facts.name for facts in found if facts.serves(kind))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Lay every way to fine-tune the language model side by side.")
    parser.add_argument("--recipe", type=Path, default=Path("recipes/quickstart"), help="default: %(default)s")
    parser.add_argument(
        "--strategies", nargs="+", help="default: zero-shot and all that serve the recipe's kind of task"
    )
    parser.add_argument("--override", action="append", default=[], help="a key of the recipe, as key.sub=value")
    parser.add_argument("--name", help="the name of the result")
    parser.add_argument("--one", help="measure one strategy, here")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

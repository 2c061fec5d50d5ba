"""Measure a tuned encoder against a random field on the spans of Restaurant8k.

    python evals/encoders/restaurant8k.py --data DATA/restaurant8k --encoder minilm --minutes 30

Both are fitted as in a run: on the official training set less 500 examples, which are dev, with their default
choices; `encoder` once per seed, in at most `--minutes`. They are scored once on the official test set, by the F1 over
spans that are right only with the type and both ends right. Intervals are those of llmtl. Nothing is chosen here. An
interrupted measurement goes on where it stopped: what was fitted and scored stays in `--work`.

Not covered: hand-written features other than those of `crf`, published models.
"""

import argparse
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from written_results import circumstances, write_result

from llmtl.answers import Span, write_spans
from llmtl.decision.comparing import compare_evaluations
from llmtl.decision.config import DecisionConfig
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import RunError
from llmtl.findings import TrainingCurve, finding
from llmtl.kinds.extraction import EXTRACTION
from llmtl.measured.evaluation import Evaluation
from llmtl.pipeline.evaluate import Subject, evaluate
from llmtl.strategies.crf import Crf
from llmtl.strategies.encoder import FineTunedEncoder
from llmtl.strategy import AnyStrategy, Budget, FitContext, Prediction
from llmtl.task import Example, Metric, Task, references

DEV = 500
STRATEGIES: dict[str, AnyStrategy] = {"crf": Crf(), "encoder": FineTunedEncoder()}


def main() -> int:
    """Fit and score what is not there yet, and write the result."""
    options = _options()
    torch.set_num_threads(options.threads)
    before = circumstances(sys.argv)
    train, test = (_examples(options.data / f"{name}.jsonl") for name in ("train", "test"))
    random.Random(0).shuffle(train)
    dev, train = train[:DEV], train[DEV : DEV + options.train if options.train else None]
    types = tuple(sorted({span["type"] for each in (*train, *test) for span in json.loads(each.reference)}))
    task = Task("restaurant8k", types, metric=Metric.MICRO_F1, kind=EXTRACTION)
    rows, evaluations = [], {}
    for name, seeds in (("crf", 1), ("encoder", options.seeds)):
        for seed in range(seeds):
            kept = _measured(options, name, seed, (task, train, dev, test))
            rows.append(kept["row"])
            evaluations.setdefault(name, _evaluation(name, task, test, kept["answers"]))
            print(_said(rows[-1]), flush=True)
    difference = compare_evaluations(evaluations["encoder"], evaluations["crf"], task.metric, DecisionConfig())
    result = {
        "what": "strict F1 over spans on Restaurant8k's official test set: a tuned encoder and a random field",
        **before,
        "load_average_after": circumstances(sys.argv)["load_average"],
        "encoder": Path(options.encoder).name,
        "examples": {"train": len(train), "dev": len(dev), "test": len(test)},
        "measured": rows,
        "encoder less crf, first seed": asdict(difference),
    }
    print(f"Written to {write_result('restaurant8k', result).name}.")
    return 0


def _measured(
    options: argparse.Namespace,
    name: str,
    seed: int,
    data: tuple[Task, list[Example], list[Example], list[Example]],
) -> dict[str, Any]:
    """Fit and score a strategy, or read what was kept of it."""
    folder: Path = options.work / f"{name}-{seed}-{len(data[1])}"
    path = folder / "measured.json"
    if path.is_file():
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    task, train, dev, test = data
    context = FitContext(
        task=task,
        train=tuple(train),
        dev=tuple(dev),
        model=ModelSource("none"),
        load_engine=_no_engine,
        folder=folder,
        seed=seed,
        budget=Budget(train_seconds=options.minutes * 60),
        encoder=EncoderSource(options.encoder),
    )
    start = perf_counter()
    fitted = STRATEGIES[name].fit(context)
    seconds = perf_counter() - start
    predictions = fitted.predictor.predict([example.input for example in test])
    scores = task.kind.score(references(test), [each.answer for each in predictions], labels=task.labels)
    curve = finding(fitted.findings, TrainingCurve)
    row = {
        "strategy": name,
        "seed": seed,
        "scores": {metric: asdict(score) for metric, score in scores.items()},
        "fit_seconds": round(seconds, 1),
        "epochs": curve and round(curve.points[-1].epoch, 2),
        "stopped_by": curve and curve.stopped_by,
        "dev_scores": curve and [point.dev_score for point in curve.points],
    }
    kept = {"row": row, "answers": [each.answer for each in predictions]}
    path.write_text(json.dumps(kept), encoding="utf-8")
    return kept


def _evaluation(name: str, task: Task, test: Sequence[Example], answers: Sequence[str]) -> Evaluation:
    """Put answers in the form that decisions compare."""

    class Kept:
        def predict(self, inputs: Sequence[Any], *, advance: Any = None) -> list[Prediction]:
            del advance
            return [Prediction(str(at), answer) for at, answer in enumerate(answers[: len(inputs)])]

    strategy = STRATEGIES[name]
    return evaluate(Subject(name, strategy.role, Kept(), "cpu", train_seconds=0.0), task, test, split="test")


def _examples(path: Path) -> list[Example]:
    """Read examples with their spans."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [
        Example(f"{path.stem}{at}", row["text"], write_spans(Span(**each) for each in row["entities"]))
        for at, row in enumerate(rows)
    ]


def _no_engine(_: Path | None) -> Engine:
    raise RunError("No language model is needed here.")


def _said(row: dict[str, Any]) -> str:
    score = row["scores"][Metric.MICRO_F1.value]
    epochs = f", {row['epochs']} epochs ({row['stopped_by']})" if row["epochs"] else ""
    return f"{row['strategy']} (seed {row['seed']}): {score} in {row['fit_seconds']} s{epochs}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure a tuned encoder against a random field.")
    parser.add_argument("--data", type=Path, required=True, help="holds train.jsonl and test.jsonl")
    parser.add_argument("--encoder", default="minilm", help="a name or folder")
    parser.add_argument("--work", type=Path, default=Path("runs/restaurant8k"), help="what was measured is kept here")
    parser.add_argument("--minutes", type=float, default=30, help="for each fit")
    parser.add_argument("--train", type=int, default=0, help="training examples; 0 for all")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Measure a head on a frozen sentence encoder, and a tuned one, on the intents of Banking77.

    nice -n 10 python evals/encoders/banking77.py --data DATA/banking77 --encoder minilm

Both are fitted as in a run, with their default choices, on the official training set and on 8 examples per intent, by
several draws each; what is chosen, is chosen on dev (a tenth of train, or 4 further examples per intent), and the
official test set is scored once. `--minutes` bounds one fit, and how far it came is in the result. Nothing is chosen
here. An interrupted measurement goes on where it stopped: scores, and the vectors of the frozen encoder, stay in
`--work`.

Defaults are chosen elsewhere: `--unused` scores what is fitted on 8 examples per intent on rows of train that neither
train nor dev took, by other draws, and never opens the official test set. `--set` changes choices of the strategy:

    python evals/encoders/banking77.py --data DATA/banking77 --unused --only setfit --set learning_rate=5e-5 \
        --name encoders_unused --work runs/unused-5e-5

Not covered: other data sets, published models.
"""

import argparse
import csv
import hashlib
import json
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from written_results import circumstances, processor_seconds, write_result

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder, Vectors
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import RunError
from llmtl.findings import Cut, GridTrace, finding
from llmtl.heads.sentence_head import HeadChoices, SentencePredictor, fit_head
from llmtl.metrics.intervals import wilson
from llmtl.progress import Advance, unwatched
from llmtl.report.terminal import TerminalProgress
from llmtl.strategies.embedding_head import EmbeddingHead
from llmtl.strategies.setfit import SetFit, SetFitConfig
from llmtl.strategy import Budget, FitContext, Fitted
from llmtl.task import Example, Task

PER_LABEL, DEV_PER_LABEL = 8, 4
DEV_SHARE = 10
UNUSED_PER_LABEL = 23
"""As many as the rarest intent has beyond what train and dev take."""
FIRST_UNUSED_DRAW = 100
"""Draws for choosing defaults are others than those that are scored on the official test set."""
PLAN = (
    ("embedding-head", "all"),
    ("embedding-head", f"{PER_LABEL} per label"),
    ("setfit", f"{PER_LABEL} per label"),
    ("setfit", "all"),
)


class Remembering(SentenceEncoder):
    """A frozen encoder that keeps the vectors of texts in a file."""

    def keep(self, path: Path) -> "Remembering":
        """Read what was kept in `path`, and keep what is embedded from now on there."""
        self.path = path
        self.known: dict[str, Any] = dict(np.load(path)) if path.is_file() else {}
        return self

    def encode(self, texts: Sequence[str], *, most: int | None = None, advance: Advance = unwatched) -> Vectors:
        """Embed what is not known yet."""
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        self.known |= dict(zip(new, super().encode(list(new.values()), most=most, advance=advance), strict=True))
        if len(new) > 1:
            np.savez(self.path, **self.known)
        return np.stack([self.known[key] for key in keys])


def main() -> int:
    """Fit and score what is not there yet, and write the result."""
    options = _options()
    options.work.mkdir(parents=True, exist_ok=True)
    before = circumstances(sys.argv, packages=("sentence-transformers", "scikit-learn"))
    train = _examples(options.data / "train.csv")
    test = [] if options.unused else _examples(options.data / "test.csv")
    task = Task("banking77", tuple(sorted({each.reference for each in train})))
    first, rows = FIRST_UNUSED_DRAW if options.unused else 0, []
    for strategy, labels in PLAN:
        asked = options.only in (None, strategy) and options.labels in (None, labels)
        if not asked or (options.unused and labels == "all"):
            continue
        for seed in range(first, first + options.seeds):
            rows.append(_measured(options, strategy, labels, seed, (task, train, test)))
            _write(options, before, rows)
    return 0


def _write(options: argparse.Namespace, before: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write what is measured so far, with the mean and the range over draws."""
    groups: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        groups.setdefault((row["strategy"], row["labels"]), []).append(row["accuracy"])
    summary = [
        {
            "strategy": strategy,
            "labels": labels,
            "draws": len(found),
            "mean": round(sum(found) / len(found), 4),
            "least": min(found),
            "most": max(found),
        }
        for (strategy, labels), found in groups.items()
    ]
    scored = "rows of train that train and dev did not take" if options.unused else "the official test set"
    made = {"encoder": options.encoder, "choices": list(options.set), "scored on": scored}
    result = {"circumstances": before, **made, "summary": summary, "rows": list(rows)}
    print(write_result(options.name, result))


def _measured(
    options: argparse.Namespace,
    strategy: str,
    labels: str,
    seed: int,
    data: tuple[Task, Sequence[Example], Sequence[Example]],
) -> Mapping[str, Any]:
    """Read a row that is there, or measure it."""
    kept = options.work / f"{strategy}-{labels.replace(' ', '-')}-{seed}.json"
    if kept.is_file():
        row: Mapping[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
        return row
    task, examples, test = data
    train, dev, unused = _drawn(examples, task, seed, few=labels != "all")
    test = unused if options.unused else test
    folder = options.work / "fit" / kept.stem
    folder.mkdir(parents=True, exist_ok=True)
    with TerminalProgress() as progress:
        context = FitContext(
            task=task,
            train=train,
            dev=dev,
            model=ModelSource("none"),
            load_engine=_no_engine,
            folder=folder,
            seed=seed,
            budget=Budget(options.minutes and 60 * options.minutes),
            progress=progress,
            encoder=EncoderSource(options.encoder),
        )
        start, processor = perf_counter(), processor_seconds()
        head = strategy == "embedding-head"
        fitted = _head(context, options.work) if head else SetFit(_choices(options.set)).fit(context)
        seconds = {"fit": round(perf_counter() - start, 1), "processor": round(processor_seconds() - processor, 1)}
        with progress.stage(f"{strategy}: test", len(test)) as advance:
            found = fitted.predictor.predict([each.input for each in test], advance=advance)
    right = sum(each.answer == example.reference for each, example in zip(found, test, strict=True))
    interval = wilson(right, len(test))
    trace, cut = finding(fitted.findings, GridTrace), finding(fitted.findings, Cut)
    row = {
        "strategy": strategy,
        "labels": labels,
        "seed": seed,
        "train": len(train),
        "dev": len(dev),
        "test": len(test),
        "accuracy": round(right / len(test), 4),
        "interval": [round(interval.low, 4), round(interval.high, 4)],
        "choice": dict(trace.choice) if trace else {},
        "cut": None if cut is None else f"{cut.done:g} of {cut.planned:g} {cut.unit}",
        "seconds": seconds,
    }
    kept.write_text(json.dumps(row, indent=1) + "\n", encoding="utf-8")
    return row


def _head(context: FitContext, work: Path) -> Fitted:
    """Fit `embedding-head` with its default choices on vectors that are kept."""
    assert context.encoder is not None
    encoder = Remembering.load(context.encoder, context.device).keep(work / "vectors.npz")
    config = EmbeddingHead().config
    choices = HeadChoices(config.c, centroid=config.centroid)
    head, findings = fit_head(context, encoder, choices, name="embedding-head", start=perf_counter(), until=None)
    return Fitted(SentencePredictor(head, lambda: encoder), findings)


def _choices(given: Sequence[str]) -> SetFitConfig:
    """Read choices of `setfit`, KEY=VALUE each."""
    return SetFitConfig.model_validate_strings(dict(each.split("=", 1) for each in given))


def _drawn(
    examples: Sequence[Example], task: Task, seed: int, *, few: bool
) -> tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]:
    """Draw train and dev, label by label, and some of what they leave."""
    draw = random.Random(seed)
    train, dev, unused = list[Example](), list[Example](), list[Example]()
    for label in task.labels:
        own = [each for each in examples if each.reference == label]
        draw.shuffle(own)
        held = DEV_PER_LABEL if few else max(1, len(own) // DEV_SHARE)
        dev += own[:held]
        train += own[held : held + PER_LABEL] if few else own[held:]
        unused += own[held + PER_LABEL :][:UNUSED_PER_LABEL]
    return tuple(train), tuple(dev), tuple(unused)


def _examples(path: Path) -> list[Example]:
    """Read the official file as it is, repeated texts included."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return [Example(f"{path.stem}-{at}", row["text"], row["category"]) for at, row in enumerate(rows)]


def _no_engine(adapter: Path | None) -> Engine:
    raise RunError(f"No language model is needed here (adapter {adapter}).")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder with train.csv and test.csv")
    parser.add_argument("--encoder", default="minilm", help="a name, a Hub name or a folder")
    parser.add_argument("--seeds", type=int, default=3, help="draws of each strategy")
    parser.add_argument("--minutes", type=float, help="the time that one fit may take")
    parser.add_argument("--only", choices=sorted({strategy for strategy, _ in PLAN}), help="measure one strategy only")
    parser.add_argument("--unused", action="store_true", help="score unused rows of train, not the official test set")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="choices of setfit")
    parser.add_argument(
        "--labels", choices=sorted({labels for _, labels in PLAN}), help="how many labels to learn from"
    )
    parser.add_argument("--work", type=Path, default=Path("runs/banking77-encoders"), help="where scores are kept")
    parser.add_argument("--name", default="encoders_banking77", help="the name of the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

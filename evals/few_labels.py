"""Measure what the meanings of labels bring to strategies on a sentence encoder with few examples per label.

    python evals/few_labels.py --data DATA/banking77

Eight intents of Banking77 that are easily confused (test: its test split) and the mail of recipes/support (test: its
last 120 messages), with the descriptions of `label_descriptions.py`. Each draw takes k examples per label to train on,
and two fifths as many, at least one, as dev; the strategy is fitted on them as in a run and scored on test. Its ways to
know the labels: nothing but their examples (`without`), their names, names and descriptions, and for each label the
name and the description of another one (`wrong`), as a bad description is. Differences are paired over inputs, with 95%
bootstrap intervals over them.

Nothing is chosen here: every setting is reported. Not covered: other encoders, more than one label per input.
"""

import argparse
import random
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
from label_descriptions import INTENTS, MAIL, SUPPORT, _intents, _read
from label_order import gain
from written_results import circumstances, write_result

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.engines.protocol import Engine, ModelSource
from llmtl.errors import CannotFitError
from llmtl.heads import meanings
from llmtl.heads.sentence_head import load_encoder
from llmtl.strategies.embedding_head import EmbeddingHead
from llmtl.strategies.setfit import SetFit
from llmtl.strategy import FitContext
from llmtl.task import Example, Task

SHOTS = (1, 2, 4, 8)
WAYS = ("without", "names", "described", "wrong")
MAIL_POOL = 180
"""Of the 300 messages of the mail, those that are drawn from; the others are its test."""
STRATEGIES = {each.facts.name: each for each in (EmbeddingHead, SetFit)}


def main() -> int:
    """Measure both tasks and write what was found."""
    options = _options()
    before = circumstances(sys.argv, packages=("sentence-transformers", "scikit-learn"))
    intents = [_intents(options.data / f"{part}.csv", options.inputs) for part in ("train", "test")]
    rows = [row for name in ("test.csv", "data.csv") for row in _read(SUPPORT / name)]
    mail = [Example(str(place), row["text"], row["label"]) for place, row in enumerate(rows)]
    found = []
    for strategy in options.strategies:
        for task, told, pool, test in (
            ("banking77, 8 intents", INTENTS, *intents),
            ("support mail", MAIL, mail[:MAIL_POOL], mail[MAIL_POOL:]),
        ):
            for k in SHOTS:
                row = {"strategy": strategy, "task": task, "examples_per_label": k, "test": len(test)}
                found.append(row | _measured(options, told, pool, test, strategy, k))
                print(found[-1], flush=True)
    result = {"what": "strategies on a sentence encoder, with and without what labels mean", **before}
    print(write_result(options.name, {**result, "encoder": options.encoder, "draws": options.draws, "rows": found}))
    return 0


def _measured(
    options: argparse.Namespace,
    told: Mapping[str, str],
    pool: Sequence[Example],
    test: Sequence[Example],
    strategy: str,
    k: int,
) -> dict[str, Any]:
    """Fit by every draw in every way, and score on test; None where a way has nothing to learn from."""
    right: dict[str, list[Any]] = {way: [] for way in options.ways}
    for draw in range(options.draws):
        train, dev = _drawn(pool, list(told), k, draw)
        for way in options.ways:
            right[way].append(_right(options, strategy, _task(told, way), (train, dev, test), way))
    known = {way: np.array(each) for way, each in right.items() if all(found is not None for found in each)}
    plain = known.get("without")
    return {
        "accuracy": {way: round(float(each.mean()), 4) for way, each in known.items()},
        "by_draw": {way: np.round(each.mean(axis=1), 4).tolist() for way, each in known.items()},
        "gain": {
            way: [round(value, 4) for value in gain(each, plain)]
            for way, each in known.items()
            if plain is not None and way != "without"
        },
    }


def _task(told: Mapping[str, str], way: str) -> Task:
    """Make the task; `wrong` gives each label the name and the description of the next one, under its own."""
    labels = tuple(told)
    if way == "wrong":
        others = dict(zip(labels, labels[1:] + labels[:1], strict=True))
        return Task(
            "few", labels, descriptions=tuple((each, f"{other}: {told[other]}") for each, other in others.items())
        )
    return Task("few", labels, descriptions=tuple(told.items()) if way == "described" else ())


def _right(
    options: argparse.Namespace,
    strategy: str,
    task: Task,
    parts: tuple[Sequence[Example], Sequence[Example], Sequence[Example]],
    way: str,
) -> list[float] | None:
    """Fit, and say which test answers are right; None where fitting is not possible."""
    train, dev, test = parts
    few = 0 if way == "without" else meanings.FEW
    with TemporaryDirectory() as folder, patch.object(meanings, "FEW", few):
        context = FitContext(
            task=task,
            train=tuple(train),
            dev=tuple(dev),
            model=ModelSource("none"),
            load_engine=_no_engine,
            folder=Path(folder),
            encoder=EncoderSource(options.encoder),
        )
        _remember(context)
        try:
            predictor = STRATEGIES[strategy]().fit(context).predictor
        except CannotFitError:
            return None
        answers = predictor.predict([each.text for each in test])
    return [float(each.answer == example.reference) for each, example in zip(answers, test, strict=True)]


def _remember(context: FitContext) -> None:
    """Let the encoder as it is embed each text once; a tuned one is another."""
    encoder = load_encoder(context)
    if "encode" not in vars(encoder):
        known: dict[str, Any] = {}
        embed = encoder.encode

        def encode(texts: Sequence[str], **advance: Any) -> Any:
            new = [text for text in dict.fromkeys(texts) if text not in known]
            known.update(zip(new, embed(new, **advance), strict=True))
            return np.stack([known[text] for text in texts]) if texts else embed([])

        encoder.encode = encode  # type: ignore[method-assign]


def _no_engine(_adapter: Path | None) -> Engine:
    raise NotImplementedError("These strategies ask no language model.")


def _drawn(pool: Sequence[Example], labels: Sequence[str], k: int, draw: int) -> tuple[list[Example], list[Example]]:
    """Draw k examples per label, and two fifths as many, at least one, for dev."""
    picked, train, dev = random.Random(draw), [], []
    for label in labels:
        found = picked.sample([each for each in pool if each.reference == label], k + max(1, round(0.4 * k)))
        train += found[:k]
        dev += found[k:]
    return train, dev


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the folder of Banking77: train.csv and test.csv")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--strategies", nargs="+", choices=STRATEGIES, default=list(STRATEGIES))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--inputs", type=int, default=40, help="messages of each intent, of each split")
    parser.add_argument("--name", default="few_labels", help="the name of the result")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

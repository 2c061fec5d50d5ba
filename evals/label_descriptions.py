"""Measure what descriptions of labels bring: in zero-shot prompts, and as further texts for a head with few labels.

    python evals/label_descriptions.py --data DATA/banking77

Eight intents of Banking77 that are easily confused (its test split) and the mail of recipes/support (both its files).
The descriptions of the intents were written from their names, before anything was measured; those of the mail are the
ones that its recipe wrote into the instruction. Zero-shot label scores, with the labels in four orders: the list alone,
each label with its description, and for the mail its instruction with the descriptions in a sentence. Differences in
accuracy are paired over inputs, with 95% percentile bootstrap intervals.

The head is a logistic regression on the vectors of a sentence encoder, fitted on k training messages per intent (ten
draws), with and without the descriptions as one more example of each label. Nothing is chosen here: every setting is
reported. Not covered: other models, tuning, descriptions by other hands.
"""

import argparse
import csv
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from label_order import base_orders, gain
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from written_results import circumstances, write_result

from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.pipeline.models import located
from llmtl.progress import Silent
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.task import Example, Task

ROOT = Path(__file__).parents[1]
SUPPORT = ROOT / "recipes" / "support"
INTENTS = {
    "card_arrival": "a new card was ordered and has not come in the post yet",
    "lost_or_stolen_card": "the card is missing, lost or stolen and should be blocked",
    "card_not_working": "the card is damaged or does not work in machines, shops or online",
    "declined_card_payment": "a payment with the card was refused in a shop or online",
    "top_up_failed": "adding money to the account was refused, cancelled or did not go through",
    "pending_top_up": "money that was added is still shown as pending and has not arrived",
    "balance_not_updated_after_bank_transfer": "a transfer was made into the account and the balance does not show it",
    "cash_withdrawal_charge": "a fee was taken for getting cash from a machine",
}
MAIL = {
    "billing": "money charged, owed or paid back",
    "faults": "something does not work",
    "deliveries": "parcels, returns and installation visits",
    "account": "login, personal data, security",
    "plans": "prices and changes of a contract",
    "leaving": "ending a contract or taking the number away",
}
SHOTS = (1, 2, 4, 8)
DRAWS = 10


def main() -> int:
    """Measure both uses of descriptions and write what was found."""
    options = _options()
    before = circumstances(sys.argv)
    source = located(ModelSource(options.model), Silent())
    engine = TransformersEngine.load(source, device="cpu")
    train, test = (_intents(options.data / name, options.inputs) for name in ("train.csv", "test.csv"))
    tasks = (_banking(test), _mail(len(INTENTS) * options.inputs))
    prompted = [prompts(engine, each, inputs, orders=options.orders) for each, inputs in tasks]
    heads = few_labels(SentenceEncoder.load(EncoderSource(options.encoder), "cpu"), train, test)
    result = {
        "what": "zero-shot label scores, and heads on few labels, with and without descriptions of the labels",
        **before,
        "model": options.model,
        "encoder": options.encoder,
        "prompted": prompted,
        "heads": heads,
    }
    print(f"Written to {write_result('label_descriptions', result).name}.")
    return 0


def prompts(engine: Any, tasks: Mapping[str, Task], inputs: Sequence[Example], *, orders: int) -> dict[str, Any]:
    """Compare ways to word one task; the first is compared with each other one."""
    right = {way: _right(engine, task, inputs, orders) for way, task in tasks.items()}
    plain, *others = right
    told = {
        "task": tasks[plain].name,
        "labels": len(tasks[plain].labels),
        "inputs": len(inputs),
        "accuracy": {way: round(float(found.mean()), 4) for way, found in right.items()},
        "accuracy_by_order": {way: np.round(found.mean(axis=1), 4).tolist() for way, found in right.items()},
        "gain": {way: [round(value, 4) for value in gain(right[way], right[plain])] for way in others},
    }
    print(told, flush=True)
    return told


def few_labels(encoder: SentenceEncoder, train: Sequence[Example], test: Sequence[Example]) -> list[dict[str, Any]]:
    """Compare heads on k examples per label with heads that saw the descriptions, too."""
    names = list(INTENTS)
    vectors = {part: _unit(encoder.encode([each.text for each in rows])) for part, rows in (("a", train), ("b", test))}
    meant = _unit(encoder.encode([INTENTS[name] for name in names]))
    of_train, truth = (np.array([names.index(each.reference) for each in rows]) for rows in (train, test))
    found = []
    for k in SHOTS:
        scores: dict[str, list[NDArray[np.float64]]] = {"without": [], "with": []}
        for draw in range(DRAWS):
            rows = _drawn(of_train, k, draw)
            for way, more in (("without", False), ("with", True)):
                x = np.vstack([vectors["a"][rows], meant]) if more else vectors["a"][rows]
                y = np.concatenate([of_train[rows], np.arange(len(names))]) if more else of_train[rows]
                head = LogisticRegression(C=10.0, max_iter=2000).fit(x, y)
                scores[way].append((head.predict(vectors["b"]) == truth).astype(float))
        both = {way: np.array(each) for way, each in scores.items()}
        found.append(
            {
                "examples_per_label": k,
                "accuracy": {way: round(float(each.mean()), 4) for way, each in both.items()},
                "gain": [round(value, 4) for value in gain(both["with"], both["without"])],
            }
        )
        print(found[-1], flush=True)
    nearest = (vectors["b"] @ meant.T).argmax(axis=1) == truth
    return [{"examples_per_label": 0, "accuracy": {"with": round(float(nearest.mean()), 4)}}, *found]


def _drawn(labels: NDArray[np.int64], k: int, draw: int) -> list[int]:
    picked = random.Random(draw)
    return [row for label in np.unique(labels) for row in picked.sample(np.flatnonzero(labels == label).tolist(), k)]


def _unit(rows: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float64)


def _right(engine: Any, task: Task, inputs: Sequence[Example], orders: int) -> NDArray[np.float64]:
    """Return which answers are right, (orders, inputs)."""
    found = []
    for order in base_orders(task.labels)[:orders]:
        predictor = LabelPredictor(task, engine, Template(replace(task, labels=order), engine))
        answers = [each.answer for each in predictor.predict([example.text for example in inputs])]
        found.append([answer == each.reference for answer, each in zip(answers, inputs, strict=True)])
    return np.array(found, dtype=float)


def _described(task: Task, meanings: Mapping[str, str]) -> Task:
    return replace(task, descriptions=tuple((label, meanings[label]) for label in task.labels))


def _banking(test: Sequence[Example]) -> tuple[dict[str, Task], list[Example]]:
    spoken = {name: name.replace("_", " ") for name in INTENTS}
    task = Task("banking77, 8 intents", tuple(spoken.values()), "Say what the bank's customer is asking about.")
    meanings = {spoken[name]: meaning for name, meaning in INTENTS.items()}
    inputs = [replace(each, reference=spoken[each.reference]) for each in test]
    return {"names": task, "descriptions": _described(task, meanings)}, inputs


def _mail(most: int) -> tuple[dict[str, Task], list[Example]]:
    told = yaml.safe_load((SUPPORT / "recipe.yaml").read_text(encoding="utf-8"))["task"]["instruction"].strip()
    first = told.partition(". ")[0] + "."
    task = Task("support mail", tuple(MAIL), first)
    rows = [row for name in ("test.csv", "data.csv") for row in _read(SUPPORT / name)][:most]
    inputs = [Example(str(place), row["text"], row["label"]) for place, row in enumerate(rows)]
    ways = {
        "names": task,
        "descriptions": _described(task, MAIL),
        "in the instruction": replace(task, instruction=told),
    }
    return ways, inputs


def _intents(path: Path, most: int) -> list[Example]:
    """Read the messages of the eight intents, the first `most` of each."""
    rows = _read(path)
    picked = [[row for row in rows if row["category"] == name][:most] for name in INTENTS]
    return [
        Example(f"{path.stem}-{row['category']}-{place}", row["text"], row["category"])
        for part in picked
        for place, row in enumerate(part)
    ]


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="the folder of Banking77: train.csv and test.csv")
    parser.add_argument("--model", default="smollm2")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--inputs", type=int, default=40, help="messages of each intent, of each split")
    parser.add_argument("--orders", type=int, default=4, help="orders of the labels, at most 4")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Search Banking77 for messages of the same intent: `python evals/encoders/search_banking77.py`.

A new message is to find older ones of its intent: the corpus is train (`data.corpus=train`), and relevant are the
texts of train with the query's label. Of 8 intents 40 messages each are split by llmtl as any recipe is. Compared,
paired by query: BM25, MiniLM as it is, MiniLM tuned on the queries of train; the verdict is llmtl's. `--intents
similar` takes eight intents on cards and payments that are easily confused, `first` the eight that come first.

Not covered: seconds (other work may share the machine), other encoders, the official split.
"""

import argparse
import csv
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import llmtl

sys.path.insert(0, str(Path(__file__).parents[1]))
from written_results import circumstances, write_result

DATA = Path(__file__).parents[3] / "shared" / "data" / "banking77" / "train.csv"
SIMILAR = (
    "card_arrival",
    "card_delivery_estimate",
    "card_not_working",
    "card_swallowed",
    "declined_card_payment",
    "lost_or_stolen_card",
    "pending_card_payment",
    "reverted_card_payment?",
)
PER_INTENT = 40
STRATEGIES = ("majority", "bm25", "embedding-search", "tuned-search")


def messages(path: Path, intents: str) -> list[tuple[str, str]]:
    """Read the first messages of each of eight intents."""
    by_intent = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            by_intent[row["category"]].append(row["text"])
    chosen = SIMILAR if intents == "similar" else tuple(sorted(by_intent))[:8]
    return [(text, intent) for intent in chosen for text in by_intent[intent][:PER_INTENT]]


def write_recipe(folder: Path, rows: list[tuple[str, str]], given: argparse.Namespace) -> Path:
    """Write data and recipe."""
    with (folder / "messages.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("text", "label"), *rows])
    (folder / "recipe.yaml").write_text(
        "name: search-banking77\ndata: {path: messages.csv, corpus: train}\ntask: {kind: retrieval}\n"
        f"model: {{name: none}}\nencoder: '{given.encoder}'\nstrategies:\n  run: [{', '.join(STRATEGIES)}]\n"
        f"  tuned_search: {{rounds: {given.rounds}, pairs_per_query: {given.pairs}}}\n"
        f"decision: {{training_seeds: {given.draws}}}\n"
        f"learning_curve: {{enabled: false}}\nbudget: {{minutes: {given.minutes}}}\n",
        encoding="utf-8",
    )
    return folder / "recipe.yaml"


def result_of(run: llmtl.Run) -> dict[str, Any]:
    """Put down verdict, scores with intervals, comparisons, and the dev scores of each round of tuning."""
    tests = [each for each in run.evaluations if each.split == "test"]
    tuning = [finding for finding in run.fit("tuned-search").findings if hasattr(finding, "points")]
    return {
        "verdict": str(run.decision.verdict),
        "winner": run.decision.winner,
        "reason": run.summary.reason,
        "queries": {"test": tests[0].n, "corpus": len(list((run.folder / "data" / "corpus.jsonl").open()))},
        "test": {
            each.strategy: {name: [score.value, score.low, score.high] for name, score in each.scores.items()}
            for each in tests
        },
        "comparisons": [
            {"a": each.a, "b": each.b, "ndcg@10": each.difference, "ci95": list(each.ci95), "p_holm": each.p_holm}
            for each in run.decision.comparisons
        ],
        "rounds on dev": [
            {"choice": dict(point.choice), "scores": dict(point.scores)} for found in tuning for point in found.points
        ],
    }


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="train.csv of Banking77")
    parser.add_argument("--intents", choices=("first", "similar"), default="first")
    parser.add_argument("--encoder", default="minilm")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of tuning")
    parser.add_argument("--pairs", type=int, default=4, help="relevant texts of a query in each round")
    parser.add_argument("--draws", type=int, default=3, help="trainings of a finalist")
    parser.add_argument("--minutes", type=float, default=60.0, help="the budget of the run")
    parser.add_argument("--name", default=None, help="the name of the result")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        recipe = write_recipe(Path(folder), messages(given.data, given.intents), given)
        run = llmtl.run(recipe, out=Path(folder) / "run")
        result = result_of(run)
    path = write_result(
        given.name or f"search_banking77-{given.intents}",
        {**circumstances(sys.argv, packages=("sentence-transformers",)), **result},
    )
    print(path)
    for name, scores in result["test"].items():
        print(name, {metric: [round(value, 3) for value in values] for metric, values in scores.items()})
    print(result["verdict"], result["winner"], result["reason"])


if __name__ == "__main__":
    main()

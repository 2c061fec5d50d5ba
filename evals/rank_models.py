"""Ask whether `llmtl rank-models` ranks frozen models as heads on their states do.

    python evals/rank_models.py --data DATA/banking77

Eight intents of Banking77 that are easily confused (those of `label_descriptions.py`), 20 training messages each. The
head is a logistic regression on the mean state of one layer, the layer chosen by 5-fold cross-validation on train, and
its accuracy is measured on the test messages of the intents; beside it stands the cross-validated accuracy averaged
over all layers but the embeddings, as LogME and H-score are. `random` is the architecture of the encoder with random
weights. Nothing is chosen here: every model is reported. Not covered: prompts and tuning, which the ranking knows
nothing of.
"""

import argparse
import csv
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from label_descriptions import INTENTS
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from written_results import circumstances, write_result

from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.layers.separability import separability
from llmtl.pipeline.rank_models import frozen_states
from llmtl.progress import Silent

MODELS = ("minilm", "smollm2", "pocket-llama", "pocket-mistral", "random")


def main() -> int:
    """Rank, measure heads, and write both beside each other."""
    parser = argparse.ArgumentParser(description="Ask whether rank-models ranks as measured heads do.")
    parser.add_argument("--data", type=Path, required=True, help="the folder with train.csv and test.csv")
    parser.add_argument("--per-intent", type=int, default=20, help="training messages per intent")
    options = parser.parse_args()
    before = circumstances(sys.argv)
    train, test = _rows(options.data / "train.csv", options.per_intent), _rows(options.data / "test.csv", None)
    with tempfile.TemporaryDirectory() as folder:
        random = _with_random_weights(Path(folder) / "random")
        found = [_measured(name, str(random) if name == "random" else name, train, test) for name in MODELS]
    by = {key: [each[key] for each in found] for key in ("logme", "h_score", "test_accuracy", "mean_accuracy")}
    result = {
        "what": "LogME and H-score of frozen states beside the accuracy of heads on them",
        **before,
        "train": len(train),
        "test": len(test),
        "models": found,
        "kendall_tau": {
            f"{key} and {heads}": round(float(kendalltau(by[key], by[heads]).statistic), 3)
            for key in ("logme", "h_score")
            for heads in ("test_accuracy", "mean_accuracy")
        },
    }
    print(write_result("rank-models", result))
    return 0


def _rows(path: Path, most: int | None) -> list[tuple[str, str]]:
    """Read the first messages of each intent."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [(row["text"], row["category"]) for row in csv.DictReader(file)]
    return [row for intent in INTENTS for row in [each for each in rows if each[1] == intent][:most]]


def _with_random_weights(folder: Path) -> Path:
    """Write MiniLM's architecture with random weights, and its tokenizer."""
    import torch
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    body = inspect_encoder(EncoderSource("minilm")).body
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.from_pretrained(body)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(body).save_pretrained(folder)
    return folder


def _measured(name: str, where: str, train: list[tuple[str, str]], test: list[tuple[str, str]]) -> dict[str, Any]:
    """Score a model's states, and measure the head on its layer that cross-validation prefers."""
    states, unseen = (frozen_states(where, [text for text, _ in rows], Silent()) for rows in (train, test))
    labels, wanted = (np.array([label for _, label in rows]) for rows in (train, test))
    targets = (labels[:, None] == np.unique(labels)[None, :]).astype(float)
    layers = [separability(states[:, at], targets) for at in range(states.shape[1])]
    folds = [float(cross_val_score(_head(), states[:, at], labels, cv=5).mean()) for at in range(states.shape[1])]
    chosen = int(np.argmax(folds))
    answers: NDArray[np.str_] = _head().fit(states[:, chosen], labels).predict(unseen[:, chosen])
    return {
        "model": name,
        "logme": float(np.mean([each.logme for each in layers[1:]])),
        "h_score": float(np.mean([each.h_score for each in layers[1:]])),
        "best_layer_by_logme": int(np.argmax([each.logme for each in layers])),
        "chosen_layer": chosen,
        "test_accuracy": float((answers == wanted).mean()),
        "mean_accuracy": float(np.mean(folds[1:])),
        "layers": [
            {"logme": each.logme, "h_score": each.h_score, "cross_validated": fold}
            for each, fold in zip(layers, folds, strict=True)
        ],
    }


def _head() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))


if __name__ == "__main__":
    sys.exit(main())

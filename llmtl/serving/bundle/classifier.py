"""The files of a winner that is not a language model: JSON, and arrays in safetensors.

Not covered: fitting (`llmtl.baselines`).
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from sklearn.feature_extraction.text import TfidfVectorizer

from llmtl.baselines.features import Vectoriser
from llmtl.baselines.linear import LinearModel
from llmtl.baselines.majority import MajorityPredictor
from llmtl.baselines.tfidf import TfidfPredictor
from llmtl.errors import BundleError
from llmtl.predictor import Predictor
from llmtl.task import Task

FACTS, ARRAYS = "classifier.json", "classifier.safetensors"
_SETTINGS = ("analyzer", "lowercase", "ngram_range", "norm", "smooth_idf", "sublinear_tf", "token_pattern", "use_idf")
"""What of a `TfidfVectorizer` decides its rows, beside the vocabulary and the weights of its terms."""


def write_classifier(predictor: Predictor, folder: Path) -> None:
    """Write a fitted `tfidf` or `majority` to `folder`; raises `BundleError` for any other predictor."""
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(predictor, MajorityPredictor):
        _write_facts(folder, {"kind": "majority", "frequencies": dict(predictor.frequencies)})
        return
    if not isinstance(predictor, TfidfPredictor):
        raise BundleError(f"A {type(predictor).__name__} cannot be exported; export a measured strategy by its name.")
    parts = predictor.vectoriser.parts
    _write_facts(
        folder,
        {
            "kind": "tfidf",
            "choice": dict(predictor.choice),
            "labels": list(predictor.model.labels),
            "parts": [{"settings": _settings(part), "terms": _terms(part)} for part in parts],
        },
    )
    idf = {f"idf.{position}": np.ascontiguousarray(part.idf_) for position, part in enumerate(parts)}
    weights = {"weights": predictor.model.weights, "intercepts": predictor.model.intercepts}
    save_file({name: np.ascontiguousarray(array) for name, array in {**idf, **weights}.items()}, folder / ARRAYS)


def load_classifier(folder: Path, task: Task) -> Predictor:
    """Return the predictor in `folder`; raises `BundleError` when its files are missing or damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["kind"] == "majority":
            return MajorityPredictor({label: float(facts["frequencies"][label]) for label in task.labels})
        arrays = load_file(folder / ARRAYS)
        parts = tuple(_part(part, arrays[f"idf.{position}"]) for position, part in enumerate(facts["parts"]))
        model = LinearModel(tuple(facts["labels"]), arrays["weights"], arrays["intercepts"])
        return TfidfPredictor(task, Vectoriser(parts), model, choice=facts["choice"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(f"The classifier in '{folder}' is missing or damaged; export the bundle again.") from error


def _settings(part: TfidfVectorizer) -> dict[str, Any]:
    """Return the settings of a fitted vectoriser that decide its rows."""
    settings = part.get_params()
    return {name: settings[name] for name in _SETTINGS}


def _terms(part: TfidfVectorizer) -> list[str]:
    """Return the terms in the order of their columns."""
    columns: dict[str, int] = part.vocabulary_
    return sorted(columns, key=columns.__getitem__)


def _part(stored: dict[str, Any], idf: NDArray[np.float64]) -> TfidfVectorizer:
    """Return the fitted vectoriser that was stored."""
    settings = {**stored["settings"], "ngram_range": tuple(stored["settings"]["ngram_range"])}
    part = TfidfVectorizer(vocabulary={term: column for column, term in enumerate(stored["terms"])}, **settings)
    part.idf_ = idf
    return part


def _write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write what is no array."""
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")

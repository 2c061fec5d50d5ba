"""The files of a predictor that is not a language model: JSON, and arrays in safetensors.

    classifier.json          what it is, and all that is not an array
    classifier.safetensors   weights of terms and labels, rows to compare with

Nothing in them can run code. Not covered: fitting.
"""

import json
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer

from llmtl.classical.features import Vectoriser
from llmtl.classical.linear import LinearModel
from llmtl.errors import RunError
from llmtl.json_and_yaml import parse_json

FACTS, ARRAYS = "classifier.json", "classifier.safetensors"
Arrays = dict[str, NDArray[Any]]
_ROWS = ("data", "indices", "indptr")
"""The arrays of a sparse matrix in compressed rows."""
_SETTINGS = ("analyzer", "lowercase", "ngram_range", "norm", "smooth_idf", "sublinear_tf", "token_pattern", "use_idf")
"""What of a `TfidfVectorizer` decides its rows, beside the vocabulary and the weights of its terms."""


def write_parts(folder: Path, facts: Mapping[str, Any], arrays: Arrays | None = None) -> None:
    """Write facts as JSON, and arrays, if there are any."""
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if arrays:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)


def keep_folder(source: Path, folder: Path) -> None:
    """Copy the folder `source` into `folder`, under its own name, unless it lies there already."""
    if source.resolve() != (folder / source.name).resolve():
        shutil.copytree(source, folder / source.name, dirs_exist_ok=True)


def read_facts(folder: Path) -> Mapping[str, Any]:
    """Read the JSON; raises `RunError` when it is missing or damaged."""
    try:
        facts: Mapping[str, Any] = parse_json((folder / FACTS).read_bytes())
    except (OSError, ValueError) as error:
        raise _damaged(folder, FACTS) from error
    return facts


def read_arrays(folder: Path) -> Arrays:
    """Read the arrays; raises `RunError` when they are missing or damaged."""
    try:
        return dict(load_file(folder / ARRAYS))
    except (OSError, SafetensorError) as error:
        raise _damaged(folder, ARRAYS) from error


def vectoriser_facts(vectoriser: Vectoriser) -> dict[str, Any]:
    """Describe all that is not an array: settings, and terms in the order of their columns."""
    return {"parts": [{"settings": _settings(part), "terms": _terms(part)} for part in vectoriser.parts]}


def vectoriser_arrays(vectoriser: Vectoriser) -> Arrays:
    """List the weights of the terms, by name."""
    return {f"idf.{position}": np.ascontiguousarray(part.idf_) for position, part in enumerate(vectoriser.parts)}


def vectoriser_from(facts: Mapping[str, Any], arrays: Arrays) -> Vectoriser:
    """Make the vectoriser that was stored; raises `KeyError`, `TypeError` or `ValueError` for damaged facts."""
    parts = enumerate(facts["parts"])
    return Vectoriser(tuple(_part(part, arrays[f"idf.{position}"]) for position, part in parts))


def linear_facts(model: LinearModel, vectoriser: Vectoriser) -> dict[str, Any]:
    """Describe what is not an array of a linear model on TF-IDF rows."""
    return {"labels": list(model.labels), **vectoriser_facts(vectoriser)}


def linear_arrays(model: LinearModel, vectoriser: Vectoriser) -> Arrays:
    """List the arrays of a linear model on TF-IDF rows."""
    return {"weights": model.weights, "intercepts": model.intercepts, **vectoriser_arrays(vectoriser)}


def linear_from(facts: Mapping[str, Any], arrays: Arrays, *, known: Collection[str]) -> tuple[Vectoriser, LinearModel]:
    """Make the vectoriser and the linear model that were stored; `known` are the labels of the task."""
    model = LinearModel.stored(facts["labels"], arrays, known=known)
    return vectoriser_from(facts, arrays), model


def rows_arrays(rows: Any) -> Arrays:
    """List the arrays of a sparse matrix."""
    return {f"rows.{name}": getattr(rows, name) for name in _ROWS}


def rows_from(arrays: Arrays, *, count: int, columns: int) -> Any:
    """Make the sparse matrix that was stored."""
    return csr_array(tuple(arrays[f"rows.{name}"] for name in _ROWS), shape=(count, columns))


def _settings(part: TfidfVectorizer) -> dict[str, Any]:
    """List the settings of a fitted vectoriser that decide its rows."""
    settings = part.get_params()
    return {name: settings[name] for name in _SETTINGS}


def _terms(part: TfidfVectorizer) -> list[str]:
    """List the terms in the order of their columns."""
    columns: dict[str, int] = part.vocabulary_
    return sorted(columns, key=columns.__getitem__)


def _part(stored: dict[str, Any], idf: NDArray[np.float64]) -> TfidfVectorizer:
    """Make the fitted vectoriser that was stored."""
    settings = {**stored["settings"], "ngram_range": tuple(stored["settings"]["ngram_range"])}
    part = TfidfVectorizer(vocabulary={term: column for column, term in enumerate(stored["terms"])}, **settings)
    part.idf_ = idf
    return part


def _damaged(folder: Path, name: str) -> RunError:
    return RunError(f"'{name}' in '{folder}' is missing or damaged; run the recipe again with a fresh --out.")

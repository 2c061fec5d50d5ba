"""Fitted TF-IDF vectorisers as JSON and arrays, and back. Not covered: fitting them (`llmtl.classical.features`)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer

from llmtl.classical.features import Vectoriser

Arrays = dict[str, NDArray[Any]]
_SETTINGS = ("analyzer", "lowercase", "ngram_range", "norm", "smooth_idf", "sublinear_tf", "token_pattern", "use_idf")
"""What of a `TfidfVectorizer` decides its rows, beside the vocabulary and the weights of its terms."""


def vectoriser_facts(vectoriser: Vectoriser) -> dict[str, Any]:
    """Return what is no array: settings, and terms in the order of their columns."""
    return {"parts": [{"settings": _settings(part), "terms": _terms(part)} for part in vectoriser.parts]}


def vectoriser_arrays(vectoriser: Vectoriser) -> Arrays:
    """Return the weights of the terms, by name."""
    return {f"idf.{position}": np.ascontiguousarray(part.idf_) for position, part in enumerate(vectoriser.parts)}


def vectoriser_from(facts: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Vectoriser:
    """Return the vectoriser that was stored; raises `KeyError`, `TypeError` or `ValueError` for damaged facts."""
    parts = enumerate(facts["parts"])
    return Vectoriser(tuple(_part(part, arrays[f"idf.{position}"]) for position, part in parts))


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

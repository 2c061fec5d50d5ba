"""The files of a winner that is not a language model: JSON, arrays in safetensors, a model of CRFsuite.

    classifier.json          what it is, and all that is no array
    classifier.safetensors   weights of terms and labels, rows to compare with
    model.crfsuite           a conditional random field, in CRFsuite's own format

Nothing in them can run code. Not covered: fitting (`llmtl.classical`).
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from scipy.sparse import csr_array

from llmtl.classical.label_sets import LabelSetPredictor
from llmtl.classical.linear import LinearModel
from llmtl.classical.patterns import Entries
from llmtl.errors import BundleError
from llmtl.progress import Advance, unwatched
from llmtl.serving.bundle.vectorisers import Arrays, vectoriser_arrays, vectoriser_facts, vectoriser_from
from llmtl.strategies.crf import MODEL_FILE, CrfPredictor
from llmtl.strategies.dictionary import DictionaryPredictor
from llmtl.strategies.majority import ConstantPredictor, MajorityPredictor
from llmtl.strategies.nearest import NearestPredictor
from llmtl.strategies.tfidf import TfidfPredictor
from llmtl.strategy import Prediction, Predictor
from llmtl.task import Input, Task, texts_of

FACTS, ARRAYS = "classifier.json", "classifier.safetensors"
_ROWS = ("data", "indices", "indptr")
"""The arrays of a sparse matrix in compressed rows."""

Facts = Mapping[str, Any]


class _OneAtATime:
    """A predictor that one thread at a time may use: CRFsuite's tagger holds the text it is at."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._turn = Lock()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Return one prediction a text, in order."""
        texts = texts_of(inputs)
        with self._turn:
            return self._predictor.predict(texts, advance=advance)

    def state(self) -> dict[str, Any]:
        """Return what the predictor states."""
        return self._predictor.state()

    def details(self) -> dict[str, Any]:
        """Return what the predictor tells."""
        return self._predictor.details()


def write_classifier(predictor: Predictor, folder: Path) -> None:
    """Write a fitted baseline to `folder`; raises `BundleError` for any other predictor."""
    folder.mkdir(parents=True, exist_ok=True)
    facts, arrays = _parts_of(predictor)
    (folder / FACTS).write_text(json.dumps(facts, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    if arrays:
        save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
    if isinstance(predictor, CrfPredictor):
        shutil.copyfile(predictor.model.modelfile.name, folder / MODEL_FILE)


def load_classifier(folder: Path, task: Task) -> Predictor:
    """Return the predictor in `folder`; raises `BundleError` when its files are missing or damaged."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        return _LOADERS[facts["kind"]](folder, facts, task)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BundleError(f"The classifier in '{folder}' is missing or damaged; export the bundle again.") from error


def _parts_of(predictor: Predictor) -> tuple[Facts, Arrays]:
    """Return what is written of a predictor: facts for JSON, and arrays."""
    match predictor:
        case MajorityPredictor():
            return {"kind": "majority", "frequencies": dict(predictor.frequencies)}, {}
        case ConstantPredictor():
            return {"kind": "constant", "answer": predictor.answer, "share": predictor.share}, {}
        case DictionaryPredictor():
            return _dictionary_facts(predictor), {}
        case CrfPredictor():
            return {"kind": "crf", "choice": dict(predictor.choice), "sha256": predictor.sha256}, {}
        case NearestPredictor():
            rows = {f"rows.{name}": getattr(predictor.rows, name) for name in _ROWS}
            facts = {"kind": "nearest", "answers": list(predictor.answers), "columns": int(predictor.rows.shape[1])}
            return facts | vectoriser_facts(predictor.vectoriser), rows | vectoriser_arrays(predictor.vectoriser)
        case TfidfPredictor() | LabelSetPredictor():
            return _linear_parts(predictor)
    raise BundleError(f"A {type(predictor).__name__} cannot be exported; export a measured strategy by its name.")


def _linear_parts(predictor: TfidfPredictor | LabelSetPredictor) -> tuple[Facts, Arrays]:
    """Return what is written of logistic regression."""
    facts = {
        "kind": "tfidf" if isinstance(predictor, TfidfPredictor) else "label-sets",
        "choice": dict(predictor.choice),
        "labels": list(predictor.model.labels),
        **vectoriser_facts(predictor.vectoriser),
    }
    weights = {"weights": predictor.model.weights, "intercepts": predictor.model.intercepts}
    return facts, weights | vectoriser_arrays(predictor.vectoriser)


def _dictionary_facts(predictor: DictionaryPredictor) -> Facts:
    """Return what is written of a dictionary."""
    levels = [[[list(key), label] for key, label in level.items()] for level in predictor.entries.by_level]
    return {"kind": "dictionary", "precision": predictor.precision, "entries": levels}


def _majority(folder: Path, facts: Facts, task: Task) -> Predictor:
    del folder
    return MajorityPredictor({label: float(facts["frequencies"][label]) for label in task.labels})


def _constant(folder: Path, facts: Facts, task: Task) -> Predictor:
    del folder, task
    return ConstantPredictor(str(facts["answer"]), float(facts["share"]))


def _dictionary(folder: Path, facts: Facts, task: Task) -> Predictor:
    del folder, task
    levels = tuple({tuple(key): str(label) for key, label in level} for level in facts["entries"])
    return DictionaryPredictor(Entries(levels), float(facts["precision"]))


def _crf(folder: Path, facts: Facts, task: Task) -> Predictor:
    from sklearn_crfsuite import CRF

    del task
    path = folder / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(path)
    return _OneAtATime(CrfPredictor(CRF(model_filename=str(path)), facts["choice"], str(facts["sha256"])))


def _nearest(folder: Path, facts: Facts, task: Task) -> Predictor:
    del task
    arrays = load_file(folder / ARRAYS)
    answers = tuple(map(str, facts["answers"]))
    rows = csr_array(tuple(arrays[f"rows.{name}"] for name in _ROWS), shape=(len(answers), facts["columns"]))
    return NearestPredictor(vectoriser_from(facts, arrays), rows, answers)


def _linear(folder: Path, facts: Facts, task: Task) -> Predictor:
    arrays = load_file(folder / ARRAYS)
    model = LinearModel(tuple(facts["labels"]), arrays["weights"], arrays["intercepts"])
    make = TfidfPredictor if facts["kind"] == "tfidf" else LabelSetPredictor
    return make(task, vectoriser_from(facts, arrays), model, choice=facts["choice"])


_LOADERS: Mapping[str, Callable[[Path, Facts, Task], Predictor]] = MappingProxyType(
    {
        "majority": _majority,
        "constant": _constant,
        "dictionary": _dictionary,
        "crf": _crf,
        "nearest": _nearest,
        "tfidf": _linear,
        "label-sets": _linear,
    }
)

"""Reading what a live endpoint says as canonical answers, as the measurement read what the model wrote.

Not covered: judging them (`llmtl.serving.proof.parity`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmtl.engines.tokenizer import TokenizerWording
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Bundle, Recorded
from llmtl.serving.bundle.read import load_bundle_tokenizer
from llmtl.serving.task_api.plain_answers import heard, said
from llmtl.task import Task


@dataclass(frozen=True)
class Reading:
    """How the answers of one task are read.

    `chat` turns what a chat said about a recorded input into a canonical answer, None where it is none. `threshold` is
    the confidence below which an input is left to a person, None where there is none. `vector` turns the vector of an
    input into a canonical answer, None where the server gives no vectors.
    """

    task: Task
    chat: Callable[[str, Recorded], str | None]
    threshold: float | None = None
    vector: Callable[[Sequence[float]], str] | None = None

    @property
    def has_probabilities(self) -> bool:
        """Return whether answers come with the probability of each."""
        return self.task.kind.one_label

    def row(self, row: Mapping[str, Any]) -> str | None:
        """Return the canonical answer in a row of `/v1/predict`."""
        return self.task.kind.answer_in(row, self.task.labels)


def reading_of(bundle: Bundle, folder: Path) -> Reading:
    """Return how the answers of a bundle's server are read."""
    task, abstains = bundle.task, bundle.winner.abstains
    threshold = abstains.threshold if abstains else None
    if task.kind.one_label:
        return Reading(task, lambda content, row: content, threshold)
    if not bundle.on_vllm:
        vector = _ranking_of(folder) if bundle.output.embeds else None
        return Reading(task, lambda content, row: _plain(task, content, row), threshold, vector)
    template = Template(bundle.winner.told(task), TokenizerWording(load_bundle_tokenizer(bundle, folder)))
    return Reading(task, lambda content, row: template.parse(content, row.text), threshold)


def _ranking_of(folder: Path) -> Callable[[Sequence[float]], str]:
    """Return what ranks the corpus in a bundle for a vector."""
    import numpy as np

    from llmtl.heads.vector_search import VectorIndex

    index = VectorIndex.read(folder / CLASSIFIER_FOLDER)
    return lambda vector: index.ranking(np.array(vector, np.float32))


def _plain(task: Task, content: str, row: Recorded) -> str | None:
    """Return what a chat without a language model said: where spans stand cannot be told from their texts alone."""
    if row.prediction is not None and content == said(task, row.prediction):
        return row.prediction
    return heard(task, content, row.text).answer

"""Ask a run or a bundle for the texts that are nearest to others.

Not covered: a server (`llmtl serve`), which gives ids by `/v1/predict` and vectors by `/v1/embeddings`.
"""

from collections.abc import Sequence
from pathlib import Path

from llmtl.classical.found_texts import Searcher
from llmtl.errors import BundleError, InputError
from llmtl.pipeline.run_folder import Run, load_run
from llmtl.serving.bundle.local import load_local
from llmtl.serving.bundle.manifest import CLASSIFIER_FOLDER, Weights
from llmtl.serving.bundle.read import is_bundle, open_bundle
from llmtl.store import as_path
from llmtl.strategy import Predictor
from llmtl.task import FoundText
from llmtl.values import RANKED


def search(
    source: Run | Path | str, texts: Sequence[str], *, top: int = RANKED, strategy: str | None = None
) -> list[list[FoundText]]:
    """Find the `top` texts of the corpus for each query, the best first.

    `source` is a run of retrieval or its folder, searched by the winner or by `strategy`, or the folder of a bundle.
    Raises `BundleError` for what does not search.
    """
    if isinstance(texts, str):
        raise InputError("search takes a list of texts; write search(source, [text]).")
    name, predictor = _opened(source, strategy)
    if not isinstance(predictor, Searcher):
        raise BundleError(f"'{name}' does not search a corpus; name a strategy of a task of retrieval, such as bm25.")
    return predictor.search(texts, top=top)


def _opened(source: Run | Path | str, strategy: str | None) -> tuple[str, Predictor]:
    if not isinstance(source, Run) and is_bundle(folder := as_path(source, "What is searched")):
        bundle = open_bundle(folder)
        if bundle.winner.weights is not Weights.CLASSIFIER:
            raise BundleError(f"The winner '{bundle.winner.name}' of this bundle does not search; export another run.")
        return bundle.winner.name, load_local(folder / CLASSIFIER_FOLDER, bundle.task, bundle.run_by_weights)
    run = source if isinstance(source, Run) else load_run(source)
    name = strategy or run.decision.winner
    return name, run.predictor(name)

import sys

import pytest

from llmtl.errors import MissingPackageError
from llmtl.pipeline.serve import require_packages
from llmtl.serving.bundle.manifest import ServedStrategy, Weights
from llmtl.strategy import Retrieval
from tests.support.small_bundle import small_bundle


@pytest.mark.parametrize(("retrieval", "needed"), [(Retrieval.SENTENCES, True), (Retrieval.TFIDF, False)])
def test_a_bundle_that_embeds_sentences_names_the_package_before_anything_starts(retrieval, needed, monkeypatch):
    knn = ServedStrategy("knn-few-shot", "tickets/knn", "tiny", Weights.BASE, retrieved=2, retrieval=retrieval)
    bundle = small_bundle(others=(knn,))
    require_packages(bundle)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)  # as if it were not installed
    if needed:
        with pytest.raises(MissingPackageError, match=r"install it with: pip install 'llmtl\[embeddings\]'"):
            require_packages(bundle)
    else:
        require_packages(bundle)

"""Labelled data: reading, cleaning, splitting, fingerprints.

Reading order: `config`, `table` (what a source yields), `files` and `hub` (the sources), `near_duplicates`,
`cleaning`, `loading`, `splitting`, `corrections`, `preferences`, `fingerprint`, `inputs` (texts to predict). Not
covered: judging the data (`llmtl.checks`), data that does not fit in memory, spans and free text as references.
"""

from llmtl.data.cleaning import Cleaning
from llmtl.data.config import DataConfig
from llmtl.data.corrections import with_corrections
from llmtl.data.examples import LoadedData, load_examples
from llmtl.data.inputs import read_inputs
from llmtl.data.preferences import with_preferences
from llmtl.data.rare_labels import without_rare_labels
from llmtl.data.relevance import corpus_mark, searchable
from llmtl.data.splitting import split_examples, subsample
from llmtl.data.table import fingerprint

__all__ = [
    "Cleaning",
    "DataConfig",
    "LoadedData",
    "corpus_mark",
    "fingerprint",
    "load_examples",
    "read_inputs",
    "searchable",
    "split_examples",
    "subsample",
    "with_corrections",
    "with_preferences",
    "without_rare_labels",
]

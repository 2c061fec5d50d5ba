"""What a search looks through, and which of its texts are relevant to each query.

A text of the corpus has a key, and is relevant to the queries whose references name that key:

    data.corpus        the corpus                                   a text's key
    (nothing)          the distinct references of all rows          the text itself: rows are (query, relevant text)
    train              the inputs of train                          its reference: rows are (text, class)
    a file             its column `data.corpus_text`                its column `data.corpus_key`: an id, or a class

Afterwards references list ids of the corpus, so that no one else needs to know which way it was. A text of train is not
relevant to itself. Not covered: grades of relevance, corpora larger than memory.
"""

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from llmtl.answers import read_ranking, write_ranking
from llmtl.data.cells import name_of, text_of
from llmtl.data.cleaning import Cleaning
from llmtl.data.config import TRAIN_CORPUS, DataConfig
from llmtl.data.near_duplicates import canonical
from llmtl.data.sources import read_source
from llmtl.data.table import did_you_mean, quoted
from llmtl.errors import DataError
from llmtl.kinds.kind import Kind
from llmtl.values import CorpusText, Example, Split

Keyed = list[tuple[tuple[str, ...], CorpusText]]
"""Documents with their keys."""


def searchable(split: Split, config: DataConfig, cleaning: Cleaning, *, kind: Kind) -> tuple[Split, Cleaning]:
    """Give a split its corpus, its references in ids; queries to which nothing is relevant leave, and are recorded.

    Of a kind that does not search both come back as they are. Raises `DataError` for a corpus that such a kind cannot
    use or that cannot be read, for a key that it lacks, and where no query is left.
    """
    if not kind.searches:
        if config.corpus is not None:
            raise DataError(
                f"Tasks of kind {kind} search no corpus; leave data.corpus out, or set task.kind=retrieval."
            )
        return split, cleaning
    keyed = _keyed(split, config)
    ids: defaultdict[str, list[str]] = defaultdict(list)
    for keys, document in keyed:
        for key in keys:
            ids[key].append(document.id)
    own = {example.id for example in split.train} if config.corpus == TRAIN_CORPUS else set()
    parts: dict[str, tuple[Example, ...]] = {}
    gone: list[str] = []
    for name in ("train", "dev", "test"):
        answered = [(each, _relevant(each, ids, own)) for each in getattr(split, name)]
        gone += [each.id for each, found in answered if not found]
        parts[name] = tuple(
            replace(each, reference=write_ranking(found), alternatives=()) for each, found in answered if found
        )
    if not all(parts.values()):
        raise DataError(
            f"No text of the corpus is relevant to any query of {next(name for name in parts if not parts[name])}; "
            "check data.corpus and data.corpus_key, or give more examples."
        )
    corpus = tuple(document for _, document in keyed)
    return Split(**parts, corpus=corpus, preferences=split.preferences), replace(cleaning, unanswerable=tuple(gone))


def corpus_mark(corpus: Sequence[CorpusText]) -> str:
    """Compute the SHA-256 (64 hex digits) of a corpus in its order."""
    rows = [[document.id, document.text] for document in corpus]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def _relevant(example: Example, ids: dict[str, list[str]], own: set[str]) -> list[str]:
    itself = example.id if example.id in own else None
    found = (id_ for key in _named(example) for id_ in ids.get(key, ()))
    return [id_ for id_ in dict.fromkeys(found) if id_ != itself]


def _named(example: Example) -> list[str]:
    """List the keys that an example's references name."""
    return [key for reference in (example.reference, *example.alternatives) for key in read_ranking(reference)]


def _keyed(split: Split, config: DataConfig) -> Keyed:
    if config.corpus == TRAIN_CORPUS:
        return [(tuple(_named(each)), CorpusText(each.id, each.text)) for each in split.train]
    everyone = (*split.train, *split.dev, *split.test)
    if config.corpus is None:
        return _distinct(key for each in everyone for key in _named(each))
    keyed = _from_file(config.corpus, config)
    _require_known(everyone, {key for keys, _ in keyed for key in keys}, config)
    return keyed


def _distinct(texts: Iterable[str]) -> Keyed:
    """Number the distinct texts in alphabetical order; those that differ only in form are one."""
    same: defaultdict[str, list[str]] = defaultdict(list)
    for text in sorted(set(texts)):
        same[canonical(text)].append(text)
    return [(tuple(forms), CorpusText(str(number), forms[0])) for number, forms in enumerate(same.values(), start=1)]


def _from_file(name: str, config: DataConfig) -> Keyed:
    table = read_source(name, config)
    for option, column in (("corpus_text", config.corpus_text), ("corpus_key", config.corpus_key)):
        if table.rows and column not in table.columns:
            raise DataError(
                f"The corpus '{table.source}' has no column '{column}'{did_you_mean(column, table.columns)}; name the "
                f"right one as data.{option}: {quoted(table.columns)}."
            )
    table.require(config.corpus_text, config.corpus_key)
    rows = []
    for row in table.rows:
        text, key = (
            text_of(row, config.corpus_text, table.source),
            name_of(row, config.corpus_key, table.source),
        )
        if text is None or key is None:
            missing = config.corpus_text if text is None else config.corpus_key
            raise DataError(
                f"Column '{missing}' of the corpus '{name}' is empty in {row.where}; fill it or drop the row."
            )
        rows.append((key, text))
    unique = len({key for key, _ in rows}) == len(rows)
    return [
        ((key,), CorpusText(key if unique else str(number), text)) for number, (key, text) in enumerate(rows, start=1)
    ]


def _require_known(examples: Sequence[Example], keys: set[str], config: DataConfig) -> None:
    for example in examples:
        for key in _named(example):
            if key not in keys:
                raise DataError(
                    f"Example '{example.id}' names '{key:.60}', which column '{config.corpus_key}' of the corpus "
                    f"'{config.corpus}' lacks{did_you_mean(key, keys)}; correct one of the two."
                )

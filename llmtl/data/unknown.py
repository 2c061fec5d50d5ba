"""Inputs that have no right answer: what a served strategy will meet, and should leave to a person.

Not covered: asking strategies about them (`llmtl.pipeline.unknown_inputs`).
"""

from llmtl.data.cells import text_of
from llmtl.data.config import DataConfig
from llmtl.data.sources import read_source
from llmtl.errors import DataError
from llmtl.values import Example


def load_unknown(config: DataConfig) -> tuple[Example, ...]:
    """Load the inputs, each once, with an empty reference; none where the section names no file of them.

    Raises `MissingFileError`, and `DataError` for a missing column or a file without any text.
    """
    if config.unknown is None:
        return ()
    table = read_source(config.unknown, config)
    table.require(config.text)
    read = [text_of(row, config.text, table.source) for row in table.rows]
    texts = list(dict.fromkeys(text for text in read if text is not None))
    if not texts:
        raise DataError(f"'{config.unknown}' has no text in column '{config.text}'; give some, or leave it out.")
    return tuple(Example(f"unknown-{number}", text, "") for number, text in enumerate(texts, start=1))

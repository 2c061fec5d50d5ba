"""A named source as a table: a file here, or a data set of the Hub. Not covered: what its columns mean."""

from llmtl.data.config import DataConfig
from llmtl.data.file_formats import is_local, read_file
from llmtl.data.hub import read_hub
from llmtl.data.table import Table


def read_source(name: str, config: DataConfig) -> Table:
    """Read a file in the encoding that the section names, if any, or the subset of a Hub data set that it names."""
    return read_file(name, config.encoding) if is_local(name) else read_hub(name, config.hub_subset)

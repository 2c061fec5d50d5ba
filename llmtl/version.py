"""The version of llmtl, for those below the package's public face. `pyproject.toml` says the same."""

__version__ = "0.2.0"

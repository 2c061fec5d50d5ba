"""Which encoder is meant, as a value; nothing is loaded here."""

from dataclasses import dataclass


@dataclass(frozen=True)
class EncoderSource:
    """An encoder: `name` is a folder, a Hub name or a packaged name such as `minilm`, `revision` that of the Hub."""

    name: str
    revision: str | None = None

"""Bytes of a text file as text, in the encodings that people have: UTF-8, UTF-16, UTF-32 and cp1252.

A byte order mark decides; without one UTF-8 is tried first, because other text is hardly ever valid UTF-8. Not covered:
guessing between encodings of other scripts (`data.encoding` names one).
"""

import codecs
import re
from dataclasses import dataclass

from llmtl.errors import DataError

WESTERN = "cp1252"
"""What Excel writes as CSV on a western Windows; Latin-1 is the same but for control characters."""
_FOREIGN_WORD = re.compile(rb"[\x80-\xff]{3,}")
MOST_FOREIGN = 0.5
"""From this share of bytes outside ASCII in runs of three on, a text is not a Western one, where they stand alone or in
pairs; in Cyrillic, Greek or Chinese nearly all are in runs. The bound is our choice."""
FEWEST_NULS = 0.1
"""From this share of 16-bit units with one zero byte on, bytes without a mark are UTF-16 (our choice): spaces, digits
and punctuation have one in every script."""
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    # before UTF-16, whose little-endian mark is the beginning of this one
    (codecs.BOM_UTF32_LE, "utf-32-le", "UTF-32 LE"),
    (codecs.BOM_UTF32_BE, "utf-32-be", "UTF-32 BE"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16 LE"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16 BE"),
)


@dataclass(frozen=True)
class Decoded:
    """A text without its byte order mark, and the name of the encoding that it was in."""

    text: str
    encoding: str


def decode(content: bytes, source: str, encoding: str | None = None) -> Decoded:
    """Decode the bytes of `source`, in `encoding` where it is named.

    Raises `DataError` with the line of the first byte that is wrong, for an encoding that Python does not know, and for
    bytes that are neither Unicode nor western text.
    """
    if encoding is not None:
        return _as(content, source, encoding, encoding)
    for mark, codec, name in _MARKS:
        if content.startswith(mark):
            return _as(content[len(mark) :], source, codec, name)
    if b"\0" in content:
        return _with_nuls(content, source)
    try:
        return Decoded(content.decode("utf-8"), "UTF-8")
    except UnicodeDecodeError as error:
        return _western(content, source, error)


def _as(content: bytes, source: str, codec: str, name: str) -> Decoded:
    try:
        return Decoded(content.decode(codec).removeprefix("\ufeff"), name)
    except LookupError:
        raise DataError(
            f"The encoding '{codec}' is unknown; name one such as utf-8, cp1252, cp1251 or gb18030."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"'{source}' is not {name}: {_where(content, error)}; save it as UTF-8.") from None


def _where(content: bytes, error: UnicodeDecodeError) -> str:
    line = content.count(b"\n", 0, error.start) + 1
    return f"byte 0x{content[error.start]:02x} in line {line}, at byte offset {error.start}"


def _with_nuls(content: bytes, source: str) -> Decoded:
    """Decode UTF-16 without a mark: nearly all zero bytes are the high ones of a unit. Other text has none."""
    units = len(content) // 2
    zeros = content[0::2].count(0), content[1::2].count(0)
    for zero, other, codec, name in (
        (zeros[1], zeros[0], "utf-16-le", "UTF-16 LE"),
        (zeros[0], zeros[1], "utf-16-be", "UTF-16 BE"),
    ):
        if zero >= FEWEST_NULS * units and other * 10 <= zero and len(content) % 2 == 0:
            found = _as(content, source, codec, name)
            if 2 * found.text.count("\n") >= content.count(b"\n"):  # else the line ends are single bytes
                return found
    line = content.count(b"\n", 0, content.index(b"\0")) + 1
    raise DataError(f"'{source}' holds a NUL byte in line {line}: it is not text, or damaged; save it as UTF-8.")


def _western(content: bytes, source: str, error: UnicodeDecodeError) -> Decoded:
    """Decode as cp1252 what is no UTF-8; raises `DataError` for damaged UTF-8 and for text of another script."""
    where = _where(content, error)
    marked = content.decode("utf-8", errors="surrogateescape")
    wrong = sum("\udc80" <= char <= "\udcff" for char in marked)
    right = sum(char > "\x7f" for char in marked) - wrong
    if right > wrong:
        raise DataError(f"'{source}' is damaged UTF-8: {where}; correct it, or name its encoding (data.encoding).")
    try:
        text = content.decode(WESTERN)
    except UnicodeDecodeError:
        text = ""
    outside = sum(byte > 0x7F for byte in content)
    if not text or sum(map(len, _FOREIGN_WORD.findall(content))) > MOST_FOREIGN * outside:
        raise DataError(
            f"'{source}' is neither UTF-8 ({where}) nor western text; save it as UTF-8, or name its encoding, for "
            "instance data.encoding=cp1251."
        )
    return Decoded(text, WESTERN)

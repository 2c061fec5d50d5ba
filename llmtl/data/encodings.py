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
MOST_ODD = 0.25
"""From this share of characters outside ASCII that cp1252 cannot mean where they stand, a text is in another encoding
(our choice)."""
_BESIDE = re.compile(r"(?<=(.))([^\x00-\x7f])(?=(.?))", re.DOTALL)
_WITHIN_WORDS = "\u2018\u2019\u2013\u2014\u2011\u00b7\u00ad\u00b4\u00a0"
"""Quotes and dashes that stand between letters, the middle dot of Catalan, and a space."""
_BEGINS = "\u201a\u201e\u2020\u2021\u2022\u02c6\u02dc\u0192\u00a1\u00a2\u00a3\u00a4\u00a6\u00bf\u00bc\u00bd\u00be\u00b9"
"""Opening marks, bullets, currencies, accents alone and fractions, none of which follows a letter."""
_OTHER_FORMATS = (
    (b"PK\x03\x04", "a ZIP archive, as Excel's .xlsx files are"),
    (b"\xd0\xcf\x11\xe0", "an Excel file of the old kind (.xls)"),
    (b"PAR1", "a Parquet file"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"%PDF", "a PDF document"),
)
"""How files begin that often carry another suffix."""
LONGEST_SHOWN = 20
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
    require_text(content, source)
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
    foreign = sum(map(len, _FOREIGN_WORD.findall(content))) > MOST_FOREIGN * outside
    odd = sum(map(_odd, _BESIDE.findall(text))) > MOST_ODD * outside
    if not text or foreign or odd:
        raise DataError(
            f"'{source}' is neither UTF-8 ({where}) nor {WESTERN}; save it as UTF-8, or name its encoding, for "
            "instance data.encoding=cp1251, mac_roman or big5."
        )
    return Decoded(text, f"{WESTERN} (guessed, as in '{_first_word(text)}')")


def _odd(found: tuple[str, str, str]) -> bool:
    """Tell a character that cp1252 cannot mean where it stands: a mark within a word, or a capital after a small one.

    Other one-byte encodings of the west have their small letters where cp1252 has those.
    """
    before, char, after = found
    if not before.isalpha():
        return False
    if char in _BEGINS or (before.islower() and char.isupper()):
        return True
    return after.isalpha() and not char.isalpha() and char not in _WITHIN_WORDS


def _first_word(text: str) -> str:
    """Show how the first word outside ASCII was read: a person sees what no rule does."""
    found = re.search(r"[^\s,;|\"]*[^\x00-\x7f][^\s,;|\"]*", text)
    return found[0][:LONGEST_SHOWN] if found else ""


def require_text(content: bytes, source: str) -> None:
    """Raise `DataError` for a file that begins as one of another format, whatever its name says."""
    for magic, what in _OTHER_FORMATS:
        if content.startswith(magic):
            raise DataError(f"'{source}' is {what}; give it the right suffix, or save it as text.")

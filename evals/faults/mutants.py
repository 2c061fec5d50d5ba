"""Mutants of bytes, drawn by hypothesis: flipped bits, lost and doubled pieces, and what trips parsers.

Not covered: what reads them (`fuzz.py`).
"""

from hypothesis import strategies as st

ODD = (
    b"1" * 4301,
    b"[" * 1000,
    b"{" * 1000,
    b"[" * 1000 + b"]" * 1000,
    b"\x00",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\\ud800",
    b'"\\udfff"',
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"NaN",
    b".nan",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"'",
    b'"',
    b"\n",
    b"\r",
    b"\t",
    b": ",
    b", ",
    b"/" + b"a" * 5000,
    b"../" * 50,
    b"99999999999999999999",
    b"4294967296",
    b"2024-13-45",
    b"&a [*a]",
    b"*a",
    b"!!python/object/apply:os.system ['true']",
    b"!!timestamp x",
    b"<<: 1",
    b"a" * 100_000,
)


def _flip(content: bytearray, at: int, part: int, _odd: bytes) -> None:
    content[at] ^= 1 << part % 8


def _lose(content: bytearray, at: int, part: int, _odd: bytes) -> None:
    del content[at : at + 1 + part]


def _double(content: bytearray, at: int, part: int, _odd: bytes) -> None:
    content[at:at] = content[at : at + 1 + part]


def _insert(content: bytearray, at: int, _part: int, odd: bytes) -> None:
    content[at:at] = odd


def _replace(content: bytearray, at: int, _part: int, odd: bytes) -> None:
    """Replace from here to the end of a word or number, so that the rest often still parses."""
    end = at
    while end < len(content) and chr(content[end]).isalnum() and end - at < 64:
        end += 1
    content[at : max(end, at + 1)] = odd


def _cut(content: bytearray, at: int, _part: int, _odd: bytes) -> None:
    del content[at:]


@st.composite
def mutants(draw: st.DrawFn, content: bytes) -> bytes:
    """Draw a mutant of a file that differs from it."""
    changed = bytearray(content)
    for _ in range(draw(st.integers(1, 3))):
        if not changed:
            break
        how = draw(st.sampled_from((_flip, _flip, _lose, _double, _insert, _replace, _replace, _cut)))
        at = draw(st.integers(0, len(changed) - 1))
        how(changed, at, draw(st.integers(0, 200)), draw(st.sampled_from(ODD)))
    return bytes(changed) if changed != content else content + b"\x00"

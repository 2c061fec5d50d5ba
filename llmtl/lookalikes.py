"""Names that look the same: one spelling for what only code points tell apart, and what may be mistaken for another.

Not covered: texts, which stay as they stand; synonyms and spelling mistakes.
"""

import html
import re
import unicodedata

_UNSEEN = frozenset("\u00ad\u061c\u180e\u200b\u200e\u200f\ufeff") | {
    chr(code)
    for first, end in ((0, 0x9), (0xE, 0x1C), (0x7F, 0x85), (0x86, 0xA0), (0x202A, 0x202F), (0x2060, 0x2070))
    for code in range(first, end)
}
"""Control characters, soft hyphen, spaces without width and marks of direction. The joiners U+200C and U+200D shape
letters and emoji."""
_TRUTH = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false"}
_NUMBER = re.compile(r"[-+\u2212]?\d{1,15}(\.\d{1,15})?", re.ASCII)
_JOINERS = "\u200c\u200d"
_TWINS = str.maketrans(
    # Cyrillic and Greek letters drawn as Latin ones: https://www.unicode.org/Public/security/latest/confusables.txt
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u0432\u043a\u043c\u043d\u0442\u03bf\u03b1\u03bd\u03c1\u03b9\u03ba\u03c4\u03c5\u03c7\u0131",
    "aeopcyxijsbkmhtoavpiktuxi",
)


def plain_name(name: str) -> str:
    """Write a name in one way: composed letters (NFC), without unseen characters and outer white space.

    Truth values are `true` and `false`, whether JSON, a frame, the CSV of a frame or a spreadsheet wrote them.
    """
    seen = "".join(char for char in name if char not in _UNSEEN)
    plain = unicodedata.normalize("NFC", seen).strip().strip(_JOINERS).strip()
    return _TRUTH.get(plain, plain)


def look(name: str) -> str:
    """Reduce a name to what is left when case, spaces, dashes, width, quotes and alphabets are not told apart.

    A number is its value, so that 1 and 1.0 look alike and -1 does not look like 1; `&amp;` is read as `&`.
    """
    name = unicodedata.normalize("NFKC", html.unescape(name))
    if _NUMBER.fullmatch(name):
        return str(float(name.replace("\u2212", "-")))
    folded = name.casefold().translate(_TWINS)
    kept = (
        char
        for char in unicodedata.normalize("NFKC", folded)
        if not char.isspace() and char not in "'`\u2018\u2019\u00b4\u2212"
    )
    return "".join(
        char for char in kept if unicodedata.category(char) not in ("Cf", "Pd", "Pc") and char not in "\ufe0e\ufe0f"
    )

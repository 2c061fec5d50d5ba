"""Numbers that people read: their minus sign, and the forms of the words that go with them.

In what machines read, the sign is a hyphen, as everywhere. Not covered: nouns whose plural is more than an `s` longer.
"""

MINUS = "\u2212"


def with_minus(digits: str) -> str:
    """Write the sign of a negative number, `-1.2`, as U+2212; other numbers stay."""
    return f"{MINUS}{digits[1:]}" if digits.startswith("-") else digits


def plural(number: float, noun: str, verb: tuple[str, str] | None = None) -> str:
    """Write a number with its noun, and its verb: `1 example`, `96 examples`, `1 example is`."""
    said = f"{number:,.0f} {noun}{'' if number == 1 else 's'}"
    return said if verb is None else f"{said} {verb[number != 1]}"


def some_of(number: int, whole: int, noun: str, verb: tuple[str, str] | None = None) -> str:
    """Write a part of a whole with its verb, `("has", "have")`: `1 of 4 labels has`, `2 of 4 labels have`."""
    said = f"{number:,} of {plural(whole, noun)}"
    return said if verb is None else f"{said} {verb[number != 1]}"


HAS, IS, WAS, DIFFERS = ("has", "have"), ("is", "are"), ("was", "were"), ("differs", "differ")
"""Verbs in the form that goes with one, and with several."""

"""The minus sign of numbers that people read; in what machines read it is a hyphen, as everywhere."""

MINUS = "\u2212"


def with_minus(digits: str) -> str:
    """Write the sign of a negative number, `-1.2`, as U+2212; other numbers stay."""
    return f"{MINUS}{digits[1:]}" if digits.startswith("-") else digits

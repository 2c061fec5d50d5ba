"""Texts from elsewhere on a terminal: characters that would steer it, or turn words round, are shown as their codes.

Not covered: texts that are written to files or given to other programs.
"""

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but for tab and line feed, what sets the direction of writing, half surrogate pairs."""


def visible(text: str) -> str:
    """Write a text as a terminal may show it."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)

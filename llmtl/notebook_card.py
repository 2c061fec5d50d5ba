"""How a value shows itself: in one line, and in a notebook by a card, both as `llmtl.report.cards` words them.

Values stand on lower floors than words, so what words them is looked up when it is asked for, as `llmtl` looks up its
public names. Not covered: the cards.
"""

from importlib import import_module


class Carded:
    """Show a line where Python prints the value, and a card where IPython asks for HTML."""

    def __repr__(self) -> str:
        line: str = import_module("llmtl.report.cards").line(self)
        return line

    def _repr_html_(self) -> str:
        html: str = import_module("llmtl.report.cards").card(self)
        return html

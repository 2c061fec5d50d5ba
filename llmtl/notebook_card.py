"""How a value shows itself in a notebook: by the card that `llmtl.report.cards` draws of it.

Values stand on lower floors than words, so what draws them is looked up when a notebook asks, as `llmtl` itself looks up
its public names. Not covered: the cards.
"""

from importlib import import_module


class Carded:
    """Draw a card where IPython asks for HTML."""

    def _repr_html_(self) -> str:
        html: str = import_module("llmtl.report.cards").card(self)
        return html

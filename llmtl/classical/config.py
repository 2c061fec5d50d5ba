"""What several recipe sections of classical strategies share. Not covered: the sections, beside their strategies."""

from typing import Literal

Features = Literal["word", "word+char"]
"""Word 1-2-grams alone, or with character 2-4-grams within words beside them."""

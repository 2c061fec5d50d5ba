"""What a recipe may choose about the baselines. Not covered: `majority`, which has no choices."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Features = Literal["word", "word+char"]
"""Word 1-2-grams alone, or with character 2-4-grams within words beside them."""


class TfidfConfig(BaseModel):
    """The choices of the `tfidf` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: tuple[Features, ...] = Field(
        default=("word", "word+char"),
        min_length=1,
        description="Kinds of features to try: word 1-2-grams (Wang & Manning 2012, 'Baselines and Bigrams'), alone or "
        "with character 2-4-grams within words, which survive spelling mistakes and inflection.",
    )
    c: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(1.0, 10.0, 100.0),
        min_length=1,
        description="Inverse strengths of L2 regularisation to try: scikit-learn's default 1 and weaker, since TF-IDF "
        "values are small.",
    )

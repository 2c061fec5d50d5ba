"""What a recipe may choose about the baselines. Not covered: `majority` and `nearest`, which have no choices."""

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


Share = Annotated[float, Field(ge=0, le=1)]


class DictionaryConfig(BaseModel):
    """The choices of the `dictionary` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: tuple[Share, ...] = Field(
        default=(0.3, 0.5, 0.7),
        min_length=1,
        description="Least precisions to try: an entry is kept when at least this share of its occurrences in train "
        "are spans of its type. The best threshold for F1 is half that F1 (Lipton, Elkan & Narayanaswamy 2014).",
    )


class CrfConfig(BaseModel):
    """The choices of the `crf` strategy: the grid that is tried on dev."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    c1: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.1,),
        min_length=1,
        description="Strengths of L1 regularisation to try; sklearn-crfsuite's tutorial has 0.1.",
    )
    c2: tuple[Annotated[float, Field(ge=0)], ...] = Field(
        default=(0.01, 0.1, 1.0),
        min_length=1,
        description="Strengths of L2 regularisation to try: the tutorial's 0.1, CRFsuite's default 1, and weaker.",
    )
    max_iterations: int = Field(
        default=100, ge=1, description="Iterations of L-BFGS at most, as in sklearn-crfsuite's tutorial."
    )

"""The `data` section of a recipe. Not covered: the seed, which is the recipe's, and the label list, the task's."""

from enum import StrEnum

from pydantic import ConfigDict, Field, model_validator

from llmtl.recipe import ShortSection

NEAR_DUPLICATE_JACCARD = 0.8
"""Texts at least this alike are near-duplicates: the threshold of Lee et al. (2022), "Deduplicating Training Data Makes
Language Models Better", section 4.2 (https://arxiv.org/abs/2107.06499). They compare word 5-grams of long documents;
on short messages `near_duplicates` compares character 3-grams, where 0.8 means one short word differs."""


TRAIN_CORPUS = "train"
"""What `data.corpus` says where queries are answered from the inputs of train."""
FILES = ("path", "test_path", "unknown", "corpus", "corrections", "preferences")
"""The keys that name files; a recipe names them from its own folder."""


class Rare(StrEnum):
    """What becomes of a label with too few examples to be split."""

    DROP = "drop"
    MERGE = "merge"
    STOP = "stop"


class DataConfig(ShortSection):
    """Where the labelled examples are and how they are split; the path alone stands for the whole section.

    By default half is train, 20% dev and 30% test, more test than is usual, because a verdict needs it and the methods
    compared need few training examples. The smallest difference in accuracy that a paired test of n examples finds
    with 80% power is about 2.8 * sqrt(d / n), d being the share on which the two strategies differ in correctness
    (normal approximation of McNemar's test; for its use see Card et al. 2020, "With Little Power Comes Great
    Responsibility", https://arxiv.org/abs/2010.06595). With d = 0.2 and 300 examples, 30% for test finds 13 points and
    10% would find 23; with 3,000 it is 4 points against 7.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    short_for = "path"

    path: str = Field(
        min_length=1,
        description="A .csv, .tsv, .jsonl, .json, .parquet or .xlsx file, or a Hub data set as NAME or NAME:SPLIT "
        "(split 'train' by default).",
    )
    encoding: str | None = Field(
        default=None,
        min_length=1,
        description="The encoding of text files, such as cp1251; by default it is found out: UTF-8, UTF-16, UTF-32 or "
        "cp1252.",
    )
    test_path: str | None = Field(
        default=None,
        min_length=1,
        description="A separate test set in the same form, used whole as test; near-duplicates of it leave the rest.",
    )
    unknown: str | None = Field(
        default=None,
        min_length=1,
        description="A file of inputs that have no right answer (out of scope), in the same text column: the report "
        "says how well confidence tells them apart, and what share of them is left to a person. Not asked: models at "
        "a provider.",
    )
    corpus: str | None = Field(
        default=None,
        min_length=1,
        description="Retrieval: what is searched. By default the distinct texts in the column `label`, whose rows are "
        "pairs of a query and a relevant text; `train`: the texts of train, of which those with the query's label are "
        "relevant; or a file with the columns corpus_text and corpus_key.",
    )
    corpus_text: str = Field(default="text", min_length=1, description="The column of the corpus with its texts.")
    corpus_key: str = Field(
        default="id",
        min_length=1,
        description="The column of the corpus with what references name: an id or, shared by several texts, a class.",
    )
    corrections: str | None = Field(
        default=None,
        min_length=1,
        description="Corrections that people made of served answers (the playground writes corrections.jsonl beside "
        "its run): they go into train. The latest of an input counts; what stands in dev or test, or nearly, is left "
        "out.",
    )
    preferences: str | None = Field(
        default=None,
        min_length=1,
        description="Generation: a file with a better and a worse answer per input (columns input or prompt, chosen, "
        "rejected), for strategies that learn from them (dpo). What stands in dev or test, or nearly, is left out.",
    )
    hub_subset: str | None = Field(
        default=None, min_length=1, description="The subset of a Hub data set, if it has any."
    )
    text: str = Field(default="text", min_length=1, description="The column with the input text.")
    label: str = Field(
        default="label",
        min_length=1,
        description="The column with the reference: the label; for multi-label a list or a "
        "string with separators; for extraction a list of {type, start, end, text}; for generation a text or a list of "
        "texts; for retrieval what is relevant (see corpus).",
    )
    id: str | None = Field(
        default=None, min_length=1, description="The column with unique ids; by default ids are row numbers from 1."
    )
    label_separator: str = Field(
        default="|", min_length=1, description="What stands between several labels in one string (multi-label)."
    )
    group: str | None = Field(
        default=None,
        min_length=1,
        description="The column that names what examples come from together (a customer, a document): they stay on one "
        "side of the split, and intervals allow for their likeness.",
    )
    dev_fraction: float = Field(default=0.2, gt=0, lt=1, description="The share of examples for choosing (dev).")
    test_fraction: float = Field(
        default=0.3, gt=0, lt=1, description="The share of examples for the final test; unused with test_path."
    )
    rare_labels: Rare = Field(
        default=Rare.DROP,
        description="What becomes of labels (types) with a single example, which cannot be both learned and tested: "
        "drop them (a row without another label goes too), merge them into one label 'other', or stop.",
    )
    near_duplicate_threshold: float = Field(
        default=NEAR_DUPLICATE_JACCARD,
        ge=0.5,
        le=1,
        description="Texts with at least this Jaccard similarity of character 3-grams stay on one side of the split.",
    )
    max_dev: int | None = Field(default=None, ge=2, description="Score at most this many dev examples (stratified).")
    max_test: int | None = Field(default=None, ge=2, description="Score at most this many test examples (stratified).")

    @model_validator(mode="after")
    def _leave_some_for_train(self) -> "DataConfig":
        if self.dev_fraction + (0 if self.test_path else self.test_fraction) > 0.95:
            raise ValueError("dev_fraction and test_fraction leave less than 5% for train; lower one of them")
        return self

    @property
    def fractions(self) -> tuple[float, float, float]:
        """Give the shares of train, dev and test, which sum to 1; with `test_path` the share of test is 0."""
        test = 0.0 if self.test_path else self.test_fraction
        return 1 - self.dev_fraction - test, self.dev_fraction, test

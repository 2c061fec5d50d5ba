"""The section `task` of a recipe, whose options `llmtl decide` mirrors without reading the other sections."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.table import KindByName
from llmtl.lookalikes import plain_name
from llmtl.task import Metric, Task, wrong_description

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
_STRICT = ConfigDict(extra="forbid", frozen=True)


class TaskConfig(BaseModel):
    """What to predict."""

    model_config = _STRICT

    name: str | None = Field(
        default=None,
        pattern=NAME_PATTERN,
        description="What the task is called, also by clients of a served winner; by default the recipe's name.",
    )
    kind: KindByName = Field(
        default=CLASSIFICATION.name,  # as a name, so that the JSON schema can say it
        validate_default=True,
        description="classification (one label), multi-label, extraction (typed spans), generation (text) or retrieval "
        "(ranked texts of a corpus).",
    )
    instruction: str | None = Field(
        default=None, min_length=1, description="What the model is told to do; by default a sentence for the kind."
    )
    labels: tuple[str, ...] | dict[str, str | None] | None = Field(
        default=None,
        description="The labels, or the types of spans, in prompt order; by default those found in the data, sorted. "
        "As a mapping, what each means, for prompts and for people: {refund: 'money back, chargebacks'}, and null for "
        "one that says enough.",
    )
    metric: Metric | None = Field(
        default=None,
        description="The score that the decision is made on; by default accuracy for classification, micro_f1 for "
        "multi-label and extraction, chrf for generation, ndcg@10 for retrieval.",
    )
    target: float | None = Field(default=None, ge=0, le=1, description="The score the winner should reach on test.")
    max_output_tokens: int | None = Field(
        default=None,
        ge=1,
        description="The most tokens an answer may take (not for classification); by default from the longest "
        "reference in train.",
    )

    abstain_text: str = Field(
        default="I am not sure; please ask a person.",
        min_length=1,
        description="What a served chat says instead of an answer that is not sure enough, where the request asks for "
        "it (abstain: true).",
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _name_and_describe(cls, labels: Any) -> Any:
        """Refuse what is no name and no description, in words: YAML reads yes, no and 404 as something else."""
        if not isinstance(labels, Mapping | list | tuple):
            return labels
        for label in labels:
            if not isinstance(label, str):
                raise ValueError(f"the label {label!r} is not a text; put it in quotes")
        for label, description in labels.items() if isinstance(labels, Mapping) else ():
            if description is not None and not isinstance(description, str):
                raise ValueError(f"the description of '{label}' is not a text; put it in quotes")
            if description is not None and (wrong := wrong_description(description)):
                raise ValueError(f"the description of '{label}' {wrong}")
        return labels

    @model_validator(mode="after")
    def _suit_the_kind(self) -> "TaskConfig":
        if self.metric not in (None, *self.kind.metrics):
            raise ValueError(f"metric must be one of {', '.join(self.kind.metrics)} for {self.kind}")
        if not self.kind.has_labels and self.labels is not None:
            raise ValueError(f"a {self.kind} task has no labels; leave them out")
        return self

    @property
    def label_names(self) -> tuple[str, ...] | None:
        """Name the labels in prompt order; None where the data tells them."""
        return None if self.labels is None else tuple(self.labels)

    def task(self, name: str, labels: tuple[str, ...]) -> Task:
        """Return the task with these labels; `name` is used where the section gives none."""
        given = self.labels.items() if isinstance(self.labels, dict) else ()
        meanings = {plain_name(label): " ".join(said.split()) for label, said in given if said is not None}
        return Task(
            name=self.name or name,
            labels=labels,
            instruction=self.instruction or self.kind.instructions[0],
            metric=self.metric or self.kind.metrics[0],
            target=self.target,
            kind=self.kind,
            max_output_tokens=self.max_output_tokens,
            descriptions=tuple((label, meanings[label]) for label in labels if label in meanings),
        )

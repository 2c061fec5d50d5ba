"""Prediction files made elsewhere, read into evaluations: one file per strategy, one row per prediction.

Any file that labelled data may be in will do; a row of JSON Lines:

    {"id": "17", "reference": "refund", "prediction": "refund", "cost": 0.0002, "latency_ms": 310, "seed": 0,
     "draw": "demonstrations", "split": "test", "group": "customer-4", "confidence": 0.93, "text": "where is my money"}

`id`, `reference` and `prediction` are needed; a `prediction` of null is a failure and counts as an error. `cost` is USD
for the request. `confidence` (0 to 1, say the probability of the answer) is how sure the strategy is of it: it tells
how much can be left to the strategy. `logprob`, at most 0, may stand in its place: the sum of the log-probabilities of
all tokens of a written answer, of which dev makes a confidence. `text` is the input, for people to read. `seed`
numbers draws, and `draw` says what another one would be: `training`, `demonstrations`, `replies` (the same question
asked again), or `none` where nothing would change.
For generation `reference` may be a list of equally right texts; labels and spans may be JSON lists. A strategy is named
after its file; `NAME.dev.jsonl` and `NAME.test.jsonl` are two parts of one strategy.

Not covered: making the decision (`llmtl.pipeline.decide_files`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmtl.costs import StatedCost
from llmtl.data.cells import missing
from llmtl.data.file_formats import read_file
from llmtl.data.table import Row, Table
from llmtl.decision.strange_answers import StrangeAnswers
from llmtl.errors import DataError, InputError, MissingFileError
from llmtl.kinds.kind import Kind
from llmtl.lookalikes import look
from llmtl.measured.evaluation import Evaluation
from llmtl.strategy import Prediction, Role
from llmtl.task import Draw, Example

SPLITS = ("dev", "test")
MOST_STRANGE = 0.5
"""Up to this share of a strategy's answers may name a label that no reference has before it is told (our choice)."""
MEASURED = ("cost", "latency_ms")
"""What rows may say beside the answer: in every row of a strategy or in none of it."""


class PredictionRow(BaseModel):
    """One prediction."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    id: str | int
    reference: Any
    prediction: Any
    cost: float | None = Field(default=None, ge=0)
    latency_ms: float | None = Field(default=None, ge=0)
    seed: int | str | None = None
    draw: Draw | None = None
    split: str | None = None
    group: str | int | None = None
    confidence: float | None = Field(default=None, ge=0, le=1)
    logprob: float | None = Field(default=None, le=0)
    text: Any = None


@dataclass(frozen=True)
class HeldRows:
    """The rows of one strategy in memory, where others are in a file."""

    name: str
    table: Table


@dataclass(frozen=True)
class FileAnswer:
    """One prediction with canonical texts."""

    id: str
    reference: str
    alternatives: tuple[str, ...]
    answer: str | None
    row: PredictionRow


@dataclass(frozen=True)
class StrategyFile:
    """All rows of one strategy: by seed (the first in the file first), then in the order of the file."""

    name: str
    by_seed: tuple[tuple[FileAnswer, ...], ...]

    @property
    def draw(self) -> Draw:
        """Say what a draw is, as all rows say."""
        return self.first[0].row.draw or Draw.UNKNOWN

    @property
    def first(self) -> tuple[FileAnswer, ...]:
        """Return the rows of the first seed."""
        return self.by_seed[0]


def read_files(
    paths: Sequence[Path | str | HeldRows], kind: Kind, *, dev: Sequence[Path | str | HeldRows] = ()
) -> list[StrategyFile]:
    """Return the strategies in prediction files of the same examples; `dev` are files whose rows are all dev.

    Raises `MissingFileError` or `DataError` in one line that names the file and the row.
    """
    rows: dict[str, list[FileAnswer]] = {}
    given = [*((_place(each), None) for each in paths), *((_place(each), "dev") for each in dev)]
    twice = next((path for index, (path, _) in enumerate(given) if path in [other for other, _ in given[:index]]), None)
    if twice is not None:
        raise DataError(f"'{twice}' is given twice; give each file once.")
    for path, split in given:
        name, part = _named(path)
        rows.setdefault(name, []).extend(_read(path, kind, split or part))
    found = [StrategyFile(name, _by_seed(name, answers)) for name, answers in rows.items()]
    if len(found) < 2:
        raise DataError("One strategy alone cannot be decided on; give the prediction files of at least two.")
    for item in found:
        _check_same(found[0], item)
    return found


def evaluation_of(
    item: StrategyFile, *, split: str, ids: Sequence[str], role: Role, kind: Kind, labels: tuple[str, ...]
) -> Evaluation:
    """Return the evaluation of a strategy on the examples `ids`; what its rows do not say is None.

    They never say what training took, nor memory.
    """
    chosen = set(ids)
    runs = [{answer.id: answer for answer in answers if answer.id in chosen} for answers in item.by_seed]
    answers = [runs[0][example] for example in ids]
    every = [answer.row for run in runs for answer in run.values()]
    costs, latencies = ([value for row in every if (value := getattr(row, name)) is not None] for name in MEASURED)
    references = tuple(answer.reference for answer in answers)
    alternatives = tuple(answer.alternatives for answer in answers) if any(a.alternatives for a in answers) else ()
    groups = tuple(None if a.row.group is None else str(a.row.group) for a in answers)
    groups = groups if any(group is not None for group in groups) else ()
    predictions = [tuple(_prediction(run[example]) for example in ids) for run in runs]
    return Evaluation(
        strategy=item.name,
        role=role,
        split=split,
        predictions=predictions[0],
        references=references,
        scores=kind.score(
            references,
            [prediction.answer for prediction in predictions[0]],
            labels=labels,
            alternatives=alternatives,
            groups=groups,
        ),
        seconds=None,
        p50_ms=float(np.percentile(latencies, 50)) if latencies else None,
        p95_ms=float(np.percentile(latencies, 95)) if latencies else None,
        train_seconds=None,
        prompt_tokens_per_request=0.0,
        cached_tokens_per_request=0.0,
        completion_tokens_per_request=0.0,
        peak_memory_gib=None,
        kind=kind,
        labels=labels,
        alternatives=alternatives,
        groups=groups,
        seed_predictions=tuple(predictions[1:]),
        draw=item.draw,
        stated=StatedCost(usd_per_request=float(np.mean(costs))) if costs else None,
        latencies_ms=tuple(answer.row.latency_ms or 0.0 for answer in answers) if latencies else (),
    )


def labels_of(found: Sequence[StrategyFile], kind: Kind) -> tuple[str, ...]:
    """Return the labels (extraction: types) that the references name, sorted."""
    return tuple(sorted(kind.family.labels_in([answer.reference for answer in found[0].first])))


def examples_of(found: Sequence[StrategyFile], ids: Sequence[str]) -> tuple[Example, ...]:
    """Return the examples with the texts that any file has, and the id in the place of a text that none has."""
    texts = {answer.id: str(answer.row.text) for item in found for answer in item.first if answer.row.text is not None}
    rows = {answer.id: answer for answer in found[0].first}
    return tuple(
        Example(each, texts.get(each, f"example {each}"), rows[each].reference, alternatives=rows[each].alternatives)
        for each in ids
    )


def strange_answers(found: Sequence[StrategyFile], kind: Kind, labels: Collection[str]) -> list[StrangeAnswers]:
    """List the strategies whose answers name what no reference does; empty where answers are not labels.

    They are listed where most answers do so, and where any answer only writes a label in another way.
    """
    if not kind.has_labels:
        return []
    strange, looks = [], {look(label) for label in labels}
    for item in found:
        answers = [answer.answer for answer in item.first if answer.answer is not None]
        unknown = [answer for answer in answers if any(name not in labels for name in kind.named(answer))]
        misspelt = [
            answer
            for answer in unknown
            if any(look(name) in looks for name in kind.named(answer) if name not in labels)
        ]
        told = unknown if len(unknown) > MOST_STRANGE * len(answers) else misspelt
        if told:
            strange.append(StrangeAnswers(item.name, len(told), len(item.first), told[0]))
    return strange


def lacking(found: Sequence[StrategyFile], field: str) -> list[str]:
    """Return the strategies whose rows do not say a cost or a latency.

    Raises `DataError` for a strategy of which only some rows do.
    """
    without = []
    for item in found:
        having = [getattr(answer.row, field) is not None for answers in item.by_seed for answer in answers]
        if any(having) and not all(having):
            raise DataError(
                f"Some rows of '{item.name}' have no {field}, others do; give it in all of them or in none."
            )
        if not any(having):
            without.append(item.name)
    return without


def _place(given: Path | str | HeldRows) -> Path | HeldRows:
    return given if isinstance(given, HeldRows) else Path(given)


def _named(path: Path | HeldRows) -> tuple[str, str | None]:
    """Return the strategy that a file is of, and the split that its name says."""
    if isinstance(path, HeldRows):
        return path.name, None
    name, _, part = path.stem.rpartition(".")
    return (name, part) if name and part in SPLITS else (path.stem, None)


def _read(path: Path | HeldRows, kind: Kind, split: str | None) -> list[FileAnswer]:
    if isinstance(path, HeldRows):
        name, table = path.name, path.table
    elif not path.is_file():
        raise MissingFileError(f"There is no prediction file '{path}'; check the path.")
    else:
        name, table = str(path), read_file(str(path))
    if not table.rows:
        raise DataError(f"'{name}' has no rows; write one row a prediction.")
    return [_row(_given(row), kind, split, where=f"'{name}', {row.where}") for row in table.rows]


def _given(row: Row) -> dict[str, Any]:
    """Return the values of a row; where all cells are texts, as in CSV, empty ones are none."""
    texts = all(isinstance(value, str) for value in row.values.values())
    return {key: None if texts and value == "" else value for key, value in row.values.items()}


def _row(values: Mapping[str, Any], kind: Kind, split: str | None, *, where: str) -> FileAnswer:
    not_a_number = next((key for key, value in values.items() if missing(value) and value is not None), None)
    if not_a_number is not None:
        raise DataError(f"{where}: '{not_a_number}' is NaN, which is not a value; write null for a failure.")
    try:
        row = PredictionRow.model_validate(
            {"split": split} | {k: v for k, v in values.items() if (k, v) != ("split", None)}
        )
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"][:1]))
        if first["type"] == "missing":
            said = "is missing; every row needs id, reference and prediction"
        else:
            said = f"is wrong ({first['msg'].lower()}); fix it"
        raise DataError(f"{where}: '{field}' {said}.") from None
    if row.split not in (None, *SPLITS):
        raise DataError(f"{where}: the split '{row.split}' is unknown; write dev or test.")
    several = kind.several_references and isinstance(row.reference, list)
    references = row.reference if several else [row.reference]
    try:
        texts = [kind.canonical(_whole(reference)) for reference in references]
        answer = None if row.prediction is None else kind.canonical(_whole(row.prediction))
    except InputError as error:
        raise DataError(f"{where}: {error}") from None
    if not texts:
        raise DataError(f"{where}: 'reference' is empty; give at least one text.")
    return FileAnswer(str(row.id), texts[0], tuple(texts[1:]), answer, row)


def _whole(value: Any) -> Any:
    """Return a whole number as such: a column of them with one failure is often written as 1.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _by_seed(name: str, answers: Collection[FileAnswer]) -> tuple[tuple[FileAnswer, ...], ...]:
    """Return the rows of each seed; raises `DataError` for a repeated id and for seeds with different examples."""
    runs: dict[Any, dict[str, FileAnswer]] = {}
    for answer in answers:
        run = runs.setdefault(answer.row.seed, {})
        if answer.id in run:
            raise DataError(f"'{name}' has two rows with the id '{answer.id}'; number seeds, or make ids unique.")
        run[answer.id] = answer
    if len({answer.row.draw for answer in answers}) > 1:
        raise DataError(f"The rows of '{name}' say several things of 'draw'; write the same in all of them.")
    first = next(iter(runs.values()))
    for seed, run in runs.items():
        if run.keys() != first.keys():
            odd = min(run.keys() ^ first.keys())
            raise DataError(f"'{name}' has the example '{odd}' not with every seed (see seed {seed}); give all seeds.")
    return tuple(tuple(run.values()) for run in runs.values())


def _check_same(a: StrategyFile, b: StrategyFile) -> None:
    """Raise `DataError` unless two strategies answered the same examples."""
    ours = {answer.id: answer for answer in a.first}
    for seed in b.by_seed:
        _check_agree(a.name, ours, b.name, {answer.id: answer for answer in seed})


def _check_agree(a: str, ours: Mapping[str, FileAnswer], b: str, theirs: Mapping[str, FileAnswer]) -> None:
    if ours.keys() != theirs.keys():
        odd = min(ours.keys() ^ theirs.keys())
        raise DataError(f"Only one of '{a}' and '{b}' has the example '{odd}'; give the same examples to all.")
    for example, answer in ours.items():
        other = theirs[example]
        if (answer.reference, answer.alternatives) != (other.reference, other.alternatives):
            raise DataError(f"'{a}' and '{b}' have different references for '{example}'; make them agree.")
        if (answer.row.split, answer.row.group) != (other.row.split, other.row.group):
            raise DataError(f"'{a}' and '{b}' have another split or group for '{example}'; make them agree.")


def _prediction(answer: FileAnswer) -> Prediction:
    return Prediction(
        id=answer.id,
        answer=answer.answer,
        failure="no prediction" if answer.answer is None else None,
        confidence=answer.row.confidence,
        logprob=answer.row.logprob,
    )

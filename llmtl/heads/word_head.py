"""A linear head on the states of words, for spans: fitted on train, chosen on dev, decoded to valid tags.

Layer and reading are chosen on a sample of the training words where train is large, and the head with its
regularisation on as many of them as memory and time allow: at no time are all layers of all words held. Not covered:
learned transitions between tags (the `crf` strategy), calibration of single words.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, product
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from llmtl.answers import read_spans, write_spans
from llmtl.classical.files import read_arrays, read_facts, write_parts
from llmtl.classical.grid import best_on_dev
from llmtl.classical.linear import LinearModel, path
from llmtl.classical.tagging import bio_tags, decode
from llmtl.classical.words import to_spans, to_tags, words_of
from llmtl.errors import DataError
from llmtl.findings import Cut, GridTrace, Unit, cut_short
from llmtl.heads.linear_head import in_time, standardised
from llmtl.heads.prompt_states import (
    CHUNK,
    READING_SHARE,
    of_prompts,
    read_all,
    read_in_time,
    shuffled_train,
    spread_layers,
    state_reader,
)
from llmtl.heads.word_states import READINGS, WordReader
from llmtl.progress import Advance, chunks, unwatched
from llmtl.strategy import FitContext, LocalServed, Prediction
from llmtl.task import Example, Input, Task, references, texts_of

SAMPLE_WORDS = 4000
"""Training words on which layers and readings are compared: about seven per number of a state of 576."""
PROBED = 32
"""Texts that a forecast reads."""
HELD_BYTES = 2**30
"""What states may take at once, in float16 while layers are compared and in float64 while a head is fitted."""

Point = tuple["WordHead", Mapping[str, Any], list[str]]


@dataclass(frozen=True)
class WordHead:
    """A linear model for the tags of words; `choice` names layer, reading and regularisation."""

    task: Task
    model: LinearModel
    choice: Mapping[str, Any]

    def tagged(self, texts: Sequence[str], rows: Sequence[Any]) -> list[tuple[str, float]]:
        """Give the spans of each text, whose words have the states `rows`, with the log-probability of all tags."""
        tags = bio_tags(self.task.labels)
        known = [tags.index(tag) for tag in self.model.labels]
        scores = []
        for each in rows:
            told = np.full((len(each), len(tags)), -np.inf)  # tags that train lacks are never given
            if len(each):
                told[:, known] = self.model.logits(each.astype(float))
            scores.append(told)
        return [
            (write_spans(to_spans(text, words_of(text), path)), logprob)
            for text, (path, logprob) in zip(texts, decode(scores, tags), strict=True)
        ]


@dataclass(frozen=True)
class WordProbePredictor:
    """Tags the words of texts by their states in the frozen model."""

    context: FitContext
    head: WordHead

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text; a prompt that does not fit the context is a failure."""
        parts = chunks(texts_of(inputs), CHUNK, advance=advance)
        return [prediction for first, part in parts for prediction in self._predict(part, first=first)]

    def _predict(self, texts: Sequence[str], *, first: int) -> list[Prediction]:
        start, choice = perf_counter(), self.head.choice
        states, tokens = WordReader(self.context, (choice["layer"],), (choice["reading"],)).read(texts)
        room = self.context.load_engine(None).context_length - 1
        fitting = [text for text, count in zip(texts, tokens, strict=True) if count <= room]
        tagged = self.head.tagged(fitting, [each[:, 0, 0] for each in states])
        made = [Prediction("", answer, logprob=logprob) for answer, logprob in tagged]
        return of_prompts(made, tokens, room, first=first, start=start)

    def save(self, folder: Path) -> None:
        """Write choice and weights."""
        facts = {"choice": dict(self.head.choice), "tags": list(self.head.model.labels)}
        write_parts(folder, facts, {"weights": self.head.model.weights, "intercepts": self.head.model.intercepts})

    def served(self) -> LocalServed:
        """Say that our own server serves it, beside the base model."""
        return LocalServed(needs_base_model=True)


def load_words(context: FitContext, folder: Path) -> WordProbePredictor:
    """Load choice and weights."""
    facts, arrays = read_facts(folder), read_arrays(folder)
    model = LinearModel.stored(facts["tags"], arrays, known=bio_tags(context.task.labels))
    return WordProbePredictor(context, WordHead(context.task, model, facts["choice"]))


@dataclass(frozen=True)
class _WordStates:
    """The states of the words of examples, (words, readings, layers, width) each, as a reader read them."""

    reader: WordReader
    examples: Sequence[Example]
    states: Sequence[Any]

    def rows(self, layer: int, reading: str) -> list[Any]:
        """Take one layer and one reading, (words, width) for each example."""
        at = self.reader.readings.index(reading), self.reader.layers.index(layer)
        return [each[:, at[0], at[1]] for each in self.states]


def fit_words(
    context: FitContext, *, name: str, most_layers: int, strengths: Sequence[float]
) -> tuple[WordProbePredictor, tuple[GridTrace | Cut, ...]]:
    """Fit the grid, and keep its best point on dev; equal scores go to the later layer, read once.

    Raises `DataError` without training examples or spans in them, and `ContextLengthError` where the engine gives no
    states or a dev text does not fit.
    """
    start, train = perf_counter(), shuffled_train(context)
    if not any(read_spans(each.reference) for each in train):
        raise DataError(f"No training example has a span; label some, or leave '{name}' out of 'strategies.run'.")
    width = WordReader(context, (), ()).width()
    train = _first_words(train, HELD_BYTES // (8 * width))
    sample = _first_words(train, SAMPLE_WORDS)
    reader = _comparing(context, sample, width, most_layers)
    search = _WordSearch(context, name, start, reader, strengths)
    points = in_time(search.points(train, sample), context, start, name=name)
    count = len(reader.layers) * len(reader.readings) * (len(strengths) if sample == train else 1)
    count += 0 if sample == train else len(strengths)
    head, trace = best_on_dev(points, context, name=name, count=count)
    settings = cut_short(len(trace.points), count, Unit.SETTINGS)
    return WordProbePredictor(context, head), (trace, *search.cut, *settings)


def forecast_words(context: FitContext, *, most_layers: int, strengths: Sequence[float]) -> float | None:
    """Forecast the seconds of `fit_words`: time reading a few texts, and fitting one layer and reading on them.

    None where these have too few tags to fit on.
    """
    width = WordReader(context, (), ()).width()
    train = _first_words(shuffled_train(context), HELD_BYTES // (8 * width))
    sample = _first_words(train, SAMPLE_WORDS)
    reader = _comparing(context, sample, width, most_layers)
    few = sample[:PROBED]
    reader.read([few[0].text])
    start = perf_counter()
    states, tokens = reader.read([each.text for each in few])
    each_text = (perf_counter() - start) / len(few)
    room = context.load_engine(None).context_length - 1
    fitting = [each for each, count in zip(few, tokens, strict=True) if count <= room]
    known = _WordStates(reader, fitting, states)
    truth = _tags(fitting)
    if len(set(truth)) < 2:
        return None
    rows = np.concatenate([each for each in known.rows(reader.layers[0], reader.readings[0]) if len(each)])
    start = perf_counter()
    fitted = len(list(standardised(rows.astype(float), lambda scaled: path(scaled, truth, strengths))))
    each_word = (perf_counter() - start) / fitted / len(truth)  # of one strength
    again = 0 if sample == train else len(train)
    heads = len(reader.layers) * len(reader.readings) * (1 if again else len(strengths))
    reading = each_text * (len(context.dev) + len(sample) + again)
    words = sum(len(words_of(each.text)) for each in sample), sum(len(words_of(each.text)) for each in train)
    fits = each_word * (heads * words[0] + (len(strengths) * words[1] if again else 0))
    return max(reading / READING_SHARE, reading + fits)


def _tags(examples: Sequence[Example]) -> list[str]:
    """List the tags of all words of examples."""
    return [tag for each in examples for tag in to_tags(words_of(each.text), read_spans(each.reference))]


def _first_words(examples: Sequence[Example], most: int) -> list[Example]:
    """Take the first examples that have at most so many words together, at least one."""
    totals = accumulate(len(words_of(each.text)) for each in examples)
    return [each for at, (each, total) in enumerate(zip(examples, totals, strict=True)) if total <= most or not at]


def _comparing(context: FitContext, sample: Sequence[Example], width: int, most_layers: int) -> WordReader:
    """Make the reader of all layers and readings to compare, as many layers as memory holds of dev and the sample."""
    dev = [each.text for each in context.dev]
    readings = READINGS if WordReader(context, (), READINGS).fits(dev) else READINGS[:1]
    words = sum(len(words_of(text)) for text in [*dev, *(each.text for each in sample)])
    held = HELD_BYTES // max(1, words * len(readings) * width * 2)
    layers = spread_layers(state_reader(context).layers, max(1, min(most_layers, held)))
    return WordReader(context, layers, readings)


@dataclass(frozen=True)
class _WordSearch:
    """A search for the best layer, reading and regularisation, among those that `reader` reads.

    `cut` says what the last reading of train had no time for.
    """

    context: FitContext
    name: str
    start: float
    reader: WordReader
    strengths: Sequence[float]
    cut: list[Cut] = field(default_factory=list)

    def points(self, train: Sequence[Example], sample: Sequence[Example]) -> Iterator[Point]:
        """Yield each point of the grid, fitted on train or on a sample of it, with its dev answers."""
        context, reader = self.context, self.reader
        chunks = read_all(reader.read, context.dev, context, name=self.name, room=self._room)
        dev = _WordStates(reader, context.dev, [each for chunk in chunks for each in chunk])
        known = self._read(reader, sample, share=READING_SHARE / 2)
        # where the head is fitted again on more words, layers and readings are compared at the middle strength
        strengths = self.strengths if sample == train else [self.strengths[len(self.strengths) // 2]]
        task = context.task
        measure = task.kind.measure(task.metric, references(context.dev), labels=task.labels)
        scores: dict[tuple[int, str], float] = {}
        for at in product(reader.layers, reader.readings):
            for point in self._fitted(known, dev, at, strengths):
                scores[at] = max(scores.get(at, 0.0), measure.score(point[2]))
                yield point
        if sample != train:
            layer, reading = max(scores, key=scores.__getitem__)
            known = self._read(WordReader(context, (layer,), (reading,)), train, share=READING_SHARE)
            yield from self._fitted(known, dev, (layer, reading), self.strengths)

    @property
    def _room(self) -> int:
        return self.context.load_engine(None).context_length - 1

    def _read(self, reader: WordReader, examples: Sequence[Example], *, share: float) -> _WordStates:
        """Read the states of training examples in a share of the time."""
        limit = self.context.budget.train_seconds
        until = None if limit is None else self.start + share * limit
        known, chunks, cut = read_in_time(
            reader.read, examples, self.context, name=self.name, room=self._room, until=until
        )
        self.cut[:] = cut
        return _WordStates(reader, known, [each for chunk in chunks for each in chunk])

    def _fitted(
        self, train: _WordStates, dev: _WordStates, at: tuple[int, str], strengths: Sequence[float]
    ) -> Iterator[Point]:
        """Yield the head of each strength at a layer and a reading."""
        task, texts, rows = self.context.task, [each.text for each in self.context.dev], dev.rows(*at)
        truth = _tags(train.examples)
        states = np.concatenate([each for each in train.rows(*at) if len(each)]).astype(float)
        models = standardised(states, lambda scaled: path(scaled, truth, strengths))
        for c, model in zip(strengths, models, strict=True):
            choice = {"layer": at[0], "reading": at[1], "c": c, "train_examples": len(train.examples)}
            head = WordHead(task, model, choice)
            yield head, choice, [answer for answer, _ in head.tagged(texts, rows)]

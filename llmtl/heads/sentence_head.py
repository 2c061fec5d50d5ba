"""A head on the vectors of a sentence encoder: logistic regression or the nearest centroid, whichever is best on dev.

A new input is told by the closest mean of a label's training vectors in Snell, Swersky & Zemel (2017), "Prototypical
Networks for Few-shot Learning"; with squared Euclidean distances that is a linear model, too (section 2.4), and its
one temperature is fitted on dev (Guo et al. 2017, "On Calibration of Modern Neural Networks"). Vectors are
standardised first: in some encoders few columns are far longer than all others (Timkey & van Schijndel 2021, "All Bark
and No Bite: Rogue Dimensions"). Each head is fitted twice, with what labels mean as further examples and without: dev
knows whether that helps. Not covered: where the encoder comes from and whether it was tuned (the strategies).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from llmtl.classical.files import keep_folder, write_parts
from llmtl.classical.grid import best_on_dev
from llmtl.classical.linear import LinearModel
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.int8_encoders import Int8SentenceEncoder, write_sentence_encoder
from llmtl.encoders.onnx_int8 import INT8_FOLDER, Rounded
from llmtl.encoders.reach import reach
from llmtl.encoders.sentence import SentenceEncoder
from llmtl.encoders.window_vectors import WindowVectors
from llmtl.errors import ModelError
from llmtl.findings import MEANINGS, Cut, FitFinding, Unit, cut_short
from llmtl.heads.linear_head import LinearHead, calibrated, heads_on_dev, heads_per_strength, in_time, standardised
from llmtl.heads.meanings import meanings
from llmtl.heads.prompt_states import CHUNK, read_all, read_in_time, shuffled_train
from llmtl.numerals import IS, some_of
from llmtl.progress import Advance, chunks, unwatched
from llmtl.strategy import FitContext, LocalServed, Prediction
from llmtl.task import Example, Input, Task, references, texts_of

LOG_SCALES = (-10.0, 5.0)
"""Natural logarithms of the temperatures' inverses between which the best is sought."""
WINDOWS = "windows"
"""Says, in what was chosen, how many windows of a text are read at most."""


@dataclass(frozen=True)
class SentencePredictor:
    """A head on the vectors of the encoder that `load` gives.

    `tuned` is the folder of an encoder that is kept with it, because it was tuned or is in int8.
    """

    head: LinearHead
    load: Callable[[], WindowVectors]
    tuned: Path | None = None

    @classmethod
    def opened(cls, task: Task, folder: Path, load: Callable[[], SentenceEncoder], tuned: Path | None = None) -> Self:
        """Read a head that was kept; its encoder in int8 beside it, if there is one, is taken in place of the other."""
        head, int8 = LinearHead.read(task, folder), folder / INT8_FOLDER
        most = head.choice.get(WINDOWS)
        if most is not None and not (type(most) is int and most > 0):
            raise ValueError("the number of windows that are read is none")
        if not int8.is_dir():
            return cls(head, load, tuned=tuned)
        return cls(head, lambda: Int8SentenceEncoder.read(int8), tuned=int8)

    @cached_property
    def encoder(self) -> WindowVectors:
        """Load the encoder when it is first needed."""
        return self.load()

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text."""
        found: list[Prediction] = []
        for first, part in chunks(texts_of(inputs), CHUNK, advance=advance):
            begun = perf_counter()
            answers = self.head.answers(_rows(self.encoder, part, self.head.choice.get(WINDOWS)))
            each = (perf_counter() - begun) / len(part)
            found += [Prediction(str(at), *answer, seconds=each) for at, answer in enumerate(answers, start=first)]
        return found

    def save(self, folder: Path) -> None:
        """Write choice, calibration and weights of the head, and the encoder if it was tuned."""
        write_parts(folder, *self.head.kept())
        if self.tuned is not None:
            keep_folder(self.tuned, folder)

    def served(self) -> LocalServed:
        """Say that our own server serves it; a fast tokenizer may be used by one thread at a time."""
        return LocalServed(needs_encoder=self.tuned is None, one_at_a_time=True)

    def in_int8(self, folder: Path, texts: Sequence[str]) -> Iterator[tuple[Rounded, "SentencePredictor"]]:
        """Write one form of the encoder in int8 after the other to `folder`, and give what reads by it."""
        if not isinstance(self.encoder, SentenceEncoder):
            raise ModelError("The encoder is in int8 already.")
        for form in write_sentence_encoder(self.encoder, folder, texts):
            yield form, SentencePredictor(self.head, lambda: Int8SentenceEncoder.read(folder), tuned=folder)


def load_encoder(context: FitContext) -> SentenceEncoder:
    """Load the context's encoder to read with, once for all; raises `ModelError` without one, or for a broken one."""
    return SentenceEncoder.shared(_source(context), context.device)


def load_to_tune(context: FitContext) -> SentenceEncoder:
    """Load an encoder afresh, to be changed; raises as `load_encoder` does."""
    return SentenceEncoder.load(_source(context), context.device)


def _source(context: FitContext) -> EncoderSource:
    if context.encoder is None:
        raise ModelError("This strategy needs an encoder; set encoder=minilm, a Hub name or a folder.")
    return context.encoder


@dataclass(frozen=True)
class HeadChoices:
    """What is tried on dev: C of logistic regression, and whether the nearest centroid is tried beside it."""

    strengths: Sequence[float]
    centroid: bool = True

    def tries(self, task: Task) -> bool:
        """Say whether the nearest centroid is tried."""
        return self.centroid and task.kind.one_label

    def count(self, task: Task, found: "Embedded") -> int:
        """Count the heads."""
        each = heads_per_strength(task) * len(set(self.strengths)) + self.tries(task)
        return each * (2 if found.meant else 1)


@dataclass(frozen=True)
class Embedded:
    """What an encoder made of train, or of the part there was time for, and of dev: vectors, (N, width) each.

    `meant` are examples made of what labels mean, and `meanings` their vectors. `windows` are read of a text at most,
    None for all.
    """

    known: Sequence[Example]
    train: Any
    dev: Any
    cut: tuple[Cut, ...]
    meant: tuple[Example, ...] = ()
    meanings: Any = None
    windows: int | None = None

    def variants(self) -> Iterator[tuple[int, Sequence[Example], Any]]:
        """Yield what heads are fitted on, examples and vectors, with the meanings of labels and without, and how many.

        Dev chooses, and of equals what comes first: meanings are trusted where dev says nothing against them.
        """
        if self.meant:
            yield len(self.meant), (*self.known, *self.meant), np.concatenate([self.train, self.meanings])
        yield 0, self.known, self.train


Heads = Sequence[tuple[LinearHead, Sequence[str]]]
"""Heads with their answers on dev."""


def embed(context: FitContext, encoder: SentenceEncoder, *, name: str, until: float | None) -> Embedded:
    """Embed dev and as much of train as there is time for until a moment of `perf_counter`.

    Of long texts only the first windows are read where there is no time for more.
    """
    far = reach(encoder, [each.text for each in (*context.dev, *shuffled_train(context))], until)

    def read(texts: Sequence[str]) -> tuple[Any, list[int]]:
        return _rows(encoder, texts, far.most), [0] * len(texts)

    dev = np.concatenate(read_all(read, context.dev, context, name=name, room=0))
    known, parts, cut = read_in_time(read, shuffled_train(context), context, name=name, room=0, until=until)
    meant = meanings(context.task, known)
    told = _rows(encoder, [each.text for each in meant])
    cut = (*cut, *cut_short(far.done, far.planned, Unit.WINDOWS))
    return Embedded(known, np.concatenate(parts), dev, cut, meant, told, far.most)


def heads_of(
    context: FitContext, found: Embedded, choices: HeadChoices, made: Mapping[str, Any]
) -> Iterator[tuple[LinearHead, Sequence[str]]]:
    """Yield the heads on some vectors with their answers on dev; `made` is what is known of the encoder.

    Of equals on dev the first is kept, which is logistic regression.
    """
    strengths = sorted(set(choices.strengths))
    for count, known, vectors in found.variants():
        choice = {**made, "train_examples": len(found.known), **({MEANINGS: count} if found.meant else {})}
        choice |= {} if found.windows is None else {WINDOWS: found.windows}
        rows = vectors, found.dev
        yield from heads_on_dev(context, known, rows, strengths, {"head": "logistic regression", **choice})
        if choices.tries(context.task):
            yield from _centroids(context, known, rows, choice)


def fit_head(
    context: FitContext,
    encoder: SentenceEncoder,
    choices: HeadChoices,
    *,
    name: str,
    start: float,
    until: float | None,
    made: Mapping[str, Any] | None = None,
    rivals: tuple[Embedded, Heads] | None = None,
) -> tuple[LinearHead, tuple[FitFinding, ...]]:
    """Embed dev and as much of train as there is time for, fit the heads on train, and keep the best on dev.

    `start` is when fitting began, `until` when no more of train is embedded; both by `perf_counter`. `made` is what is
    known of the encoder, for the trace. `rivals` are heads on the vectors of another encoder; of equals they are kept.
    """
    own = embed(context, encoder, name=name, until=until)
    _say_long(context, encoder, own, name=name)
    return best_head(context, own, choices, name=name, start=start, made=made, rivals=rivals)


def best_head(
    context: FitContext,
    own: Embedded,
    choices: HeadChoices,
    *,
    name: str,
    start: float,
    made: Mapping[str, Any] | None = None,
    rivals: tuple[Embedded, Heads] | None = None,
) -> tuple[LinearHead, tuple[FitFinding, ...]]:
    """Fit the heads on vectors of train, and keep the best on dev, calibrated; the rest as `fit_head` has it."""
    before = [] if rivals is None else [((head, rivals[0]), head.choice, answers) for head, answers in rivals[1]]
    fitted = in_time(heads_of(context, own, choices, made or {}), context, start, name=name)
    tried = (((head, own), head.choice, answers) for head, answers in fitted)
    count = len(before) + choices.count(context.task, own)
    (best, found), trace = best_on_dev(chain(before, tried), context, name=name, count=count)
    cut = found.cut + cut_short(len(trace.points), count, Unit.SETTINGS)
    head, calibrations = calibrated(best, context, found.dev)
    return head, (trace, *calibrations, *cut)


def _rows(encoder: WindowVectors, texts: Sequence[str], most: int | None = None) -> Any:
    """Embed texts, at most so many windows of each, (N, width) in double precision."""
    return encoder.encode(texts, most=most).astype(float)


def _centroids(
    context: FitContext, train: Sequence[Example], rows: tuple[Any, Any], choice: Mapping[str, Any]
) -> Iterator[tuple[LinearHead, list[str]]]:
    """Yield the head that takes the label with the nearest mean of training vectors, with its dev answers."""
    truth = np.array(references(train))
    labels = tuple(sorted(set(truth.tolist())))

    def fit(scaled: Any) -> Iterator[LinearModel]:
        # |x - c|^2 = |x|^2 - 2 x c + |c|^2, of which |x|^2 is the same for all labels
        centres = np.stack([scaled[truth == label].mean(axis=0) for label in labels])
        yield LinearModel(labels, 2 * centres, -(centres**2).sum(axis=1))

    [model] = standardised(rows[0], fit)
    model = _tempered(model, rows[1], references(context.dev))
    head = LinearHead(context.task, model, {"head": "nearest centroid", **choice})
    yield head, [answer for answer, _ in head.answers(rows[1])]


def _tempered(model: LinearModel, rows: Any, truth: Sequence[str]) -> LinearModel:
    """Multiply a model's logits by the number that makes the true labels likeliest; answers stay as they are."""
    known = [(row, model.labels.index(label)) for row, label in zip(rows, truth, strict=True) if label in model.labels]
    if not known:
        return model
    logits, right = model.logits(np.stack([row for row, _ in known])), [at for _, at in known]

    def nll(log_scale: float) -> float:
        return float(-log_softmax(np.exp(log_scale) * logits, axis=1)[np.arange(len(right)), right].mean())

    scale = np.exp(minimize_scalar(nll, bounds=LOG_SCALES, method="bounded").x)
    return replace(
        model,
        weights=(scale * model.weights).astype(np.float32),
        intercepts=(scale * model.intercepts).astype(np.float32),
    )


def _say_long(context: FitContext, encoder: SentenceEncoder, found: Embedded, *, name: str) -> None:
    """Say how many texts are longer than the encoder reads at once, and how much of them it reads."""
    texts = [example.text for example in (*found.known, *context.dev)]
    long = encoder.count_long(texts)
    if not long:
        return
    context.progress.say(
        f"{name}: {some_of(long, len(texts), 'text', IS)} longer than the {encoder.context_length} tokens that the "
        "encoder reads at once; long texts are read in windows whose vectors are averaged"
        + (f", the first {found.windows:,} of each as time is short" if found.windows else "")
    )

"""An encoder that was tuned for a task: trained on train, compared on dev, kept, and asked.

Not covered: which encoder and which learning rates (the strategies), what scores mean (`llmtl.heads.encoder_heads`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from time import monotonic, perf_counter
from typing import Any

import psutil
import torch

from llmtl.classical.files import keep_folder, read_facts, write_parts
from llmtl.classical.grid import best_on_dev
from llmtl.encoders.fine_tuning import TrainingText, Tuning, TuningPlan, train
from llmtl.encoders.int8_encoders import Int8Network, write_network
from llmtl.encoders.network import WEIGHTS, Network, Scored, Scoring
from llmtl.encoders.onnx_int8 import INT8_FOLDER, ONNX_FILE, Rounded, is_int8
from llmtl.encoders.tuning_state import TuningSoFar
from llmtl.encoders.windows import Windows
from llmtl.errors import ModelError, RunError
from llmtl.findings import FitFinding, TrainingCurve, TrainingPoint
from llmtl.heads.encoder_heads import Head, ReadText, read_head
from llmtl.heads.layer_changes import BeforeTuning, can_compare, read_before
from llmtl.progress import Advance, chunks, unwatched
from llmtl.quiet import own_randomness, quiet
from llmtl.seals import UNFINISHED, sha256_of_file
from llmtl.store import digest, versions
from llmtl.strategy import FitContext, LocalServed, Prediction
from llmtl.task import Input, texts_of
from llmtl.unfinished.save_points import SavePoints

FOLDER = "encoder"
CHUNK = 512
"""Texts that are read at once: bounds the memory of predicting."""
GIB = 2**30


@dataclass(frozen=True)
class TunedEncoder:
    """A tuned encoder in `folder`, whose weights have the SHA-256 `sha256`, with what its scores mean."""

    folder: Path
    head: Head
    sha256: str
    device: str

    @cached_property
    def network(self) -> Network | Int8Network:
        """Read the encoder, once."""
        with quiet():
            if is_int8(self.folder):
                return Int8Network.read(self.folder)
            return Network.read(self.folder, device=self.device)

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text, whatever its length."""
        found: list[Prediction] = []
        with quiet():
            for first, part in chunks(texts_of(inputs), CHUNK, advance=advance):
                start = perf_counter()
                made = self.head.predictions(read(self.network, part, self.network.cut(part)), first=first)
                each = (perf_counter() - start) / len(part)
                found += [replace(prediction, seconds=each) for prediction in made]
        return found

    def save(self, folder: Path) -> None:
        """Write the head, the hash of the weights, and the encoder where it is not there yet."""
        keep_folder(self.folder, folder)
        facts, arrays = self.head.kept()
        write_parts(folder, {**facts, "sha256": self.sha256}, arrays)

    def served(self) -> LocalServed:
        """Say that our own server serves it, one request at a time: tokenizers are not made for several threads."""
        return LocalServed(one_at_a_time=True, memory_gib=round(_weights(self.folder).stat().st_size / GIB + 0.5, 2))

    def in_int8(self, folder: Path, texts: Sequence[str]) -> Iterator[tuple[Rounded, "TunedEncoder"]]:
        """Write one form of the encoder in int8 after the other to `folder`, and give what reads by it."""
        if not isinstance(self.network, Network):
            raise ModelError("The encoder is in int8 already.")
        for form in write_network(self.network, folder, texts):
            yield form, TunedEncoder(folder, self.head, sha256_of(folder), self.device)


@dataclass(frozen=True)
class Start:
    """What is tuned: the checkpoint in `checkpoint`, or the same architecture with random weights, and by what plans.

    `rates_from` says where the plans' learning rates come from, `mean` that the encoder takes the mean of its tokens.
    """

    name: str
    checkpoint: Path
    window: int
    plans: tuple[TuningPlan, ...]
    rates_from: str
    mean: bool = False
    pretrained: bool = True

    def begin(self, scoring: Scoring, device: str) -> Network:
        """Make what is tuned, which has learned nothing of the task yet; the caller seeds torch."""
        return Network.begin(self.checkpoint, scoring, device=device, pretrained=self.pretrained)


@dataclass(frozen=True)
class _Attempt:
    """A training, and what came out of it."""

    network: Network
    head: Head
    plan: TuningPlan
    trained: Tuning
    answers: tuple[str | None, ...]
    findings: tuple[FitFinding, ...]


def tune(
    context: FitContext, head: Head, start: Start, *, deadline: float | None, resumable: bool = True
) -> tuple[TunedEncoder, tuple[FitFinding, ...], float]:
    """Tune by each plan, keep the best on dev in the context's folder, and say how it went.

    `deadline` is a `time.monotonic()` value; each plan gets an equal part of the time that is left. Where `resumable`,
    a training that was killed goes on; the seconds that it had taken come last.
    """
    earlier: list[float] = []
    with quiet(), own_randomness():
        before = _before(context, head, start, deadline)
        ends = deadline if before is None else before.ends_by(deadline)
        attempts = _attempts(context, head, start, ends, earlier=earlier if resumable else None)
        findings: tuple[FitFinding, ...] = ()
        if len(start.plans) == 1:
            best = next(attempts)
        else:
            points = ((each, {"learning_rate": each.plan.learning_rate}, each.answers) for each in attempts)
            best, trace = best_on_dev(points, context, name=start.name, count=len(start.plans))
            findings = (trace,)
        folder = context.folder / FOLDER
        # before it is written: that may merge an adapter
        changes = () if before is None else (before.changes(body_of(best.network), best.network.tokenizer),)
        best.network.write(folder)
    tuned = TunedEncoder(folder, best.head, sha256_of(folder), context.device)
    curve = _curve(context, best, start)
    _say_cut(context, curve, best)
    found = (curve, *findings, *best.findings, *changes, *curve.cut(best.plan.max_epochs))
    return tuned, found, sum(earlier)


def opened(context: FitContext, folder: Path) -> TunedEncoder:
    """Open a kept encoder; raises `RunError` when something is missing or not what was trained."""
    kept, int8 = str(read_facts(folder).get("sha256")), folder / INT8_FOLDER
    encoder = int8 if int8.is_dir() else folder / FOLDER
    if not _weights(encoder).is_file():
        raise RunError(f"The folder '{folder}' has no tuned encoder; run the recipe again with a new --out.")
    if sha256_of(encoder) != kept:
        raise RunError(f"The encoder in '{folder}' is not the one that was trained; run the recipe again.")
    return TunedEncoder(encoder, read_head(context.task, folder), kept, context.device)


def sha256_of(folder: Path) -> str:
    """Hash the weights (SHA-256, in hexadecimal)."""
    return sha256_of_file(_weights(folder))


def _weights(folder: Path) -> Path:
    """Name the file of an encoder's weights."""
    return folder / (ONNX_FILE if is_int8(folder) else WEIGHTS)


def read(
    network: Network | Int8Network, texts: Sequence[str], windows: Sequence[Windows], *, advance: Advance = unwatched
) -> list[ReadText]:
    """Read texts, which are cut into `windows`."""
    scores = network.scores(windows, advance=advance)
    return [ReadText(*each) for each in zip(texts, windows, scores, strict=True)]


def body_of(network: Network) -> Any:
    """Give the model without its head; an adapter stays in it."""
    model = network.model.get_base_model() if hasattr(network.model, "get_base_model") else network.model
    return model.base_model


def _before(context: FitContext, head: Head, start: Start, deadline: float | None) -> BeforeTuning | None:
    """Read the layers of what is tuned, where something was learned before and there is time."""
    if not start.pretrained or not can_compare(context, deadline):
        return None
    network = start.begin(_scoring(head, start), context.device)
    if network.model.config.model_type == "big_bird":  # reads short batches in another way (`Network`)
        return None
    network.model.eval()
    return read_before(context, body_of(network), network.tokenizer, window=start.window)


def _scoring(head: Head, start: Start) -> Scoring:
    scored = Scored.TOKENS if head.of_words else Scored.MEAN if start.mean else Scored.TEXT
    return Scoring(scored, head.outputs, start.window)


def _attempts(
    context: FitContext, head: Head, start: Start, deadline: float | None, *, earlier: list[float] | None
) -> Iterator[_Attempt]:
    """Tune by one plan after the other; `earlier` notes what those that were killed took, None goes on with none."""
    scoring = _scoring(head, start)
    texts = [example.text for example in context.dev]
    for number, plan in enumerate(start.plans):
        left = None if deadline is None else max(0.0, deadline - monotonic()) / (len(start.plans) - number)
        torch.manual_seed(plan.seed)
        network = start.begin(scoring, context.device)
        cuts = network.cut([example.text for example in context.train])
        rows = [head.row(example, windows) for example, windows in zip(context.train, cuts, strict=True)]
        dev = network.cut(texts)

        def judge(network: Network = network, dev: list[Windows] = dev) -> tuple[float, float]:
            return head.judged(read(network, texts, dev), context)

        timed = replace(plan, seconds=left)
        trained = train(
            network,
            rows,
            timed,
            judge=judge if texts else None,
            progress=context.progress,
            save_points=None if earlier is None else _save_points(context, start, number, rows),
        )
        if earlier is not None:
            earlier.append(trained.earlier_seconds)
        readings = read(network, texts, dev)
        done, traces = head.finished(readings, context) if texts else (head, ())
        answers = tuple(each.answer for each in done.predictions(readings, first=0)) if texts else ()
        yield _Attempt(network, done, timed, trained, answers, traces)


def _save_points(
    context: FitContext, start: Start, number: int, rows: Sequence[TrainingText]
) -> SavePoints[TuningSoFar]:
    """Find where the state of a plan's training is kept; the mark is of everything that its weights depend on."""
    files = sorted((path.name, path.stat().st_size) for path in start.checkpoint.iterdir() if path.is_file())
    mark = {
        "packages": versions(),
        "start": repr(replace(start, checkpoint=Path(), plans=(start.plans[number],))),
        "model": files,
        "train": [([window.ids for window in row.windows], row.target) for row in rows],
        "dev": [(example.text, example.reference) for example in context.dev],
        "device": context.device,
    }
    folder = context.folder / UNFINISHED / f"plan-{number + 1}"
    return SavePoints(folder, TuningSoFar, mark=digest(mark), say=context.progress.say)


def _curve(context: FitContext, best: _Attempt, start: Start) -> TrainingCurve:
    """Say how training went."""
    trained, plan = best.trained, best.plan
    return TrainingCurve(
        points=tuple(
            TrainingPoint(
                step=point.step,
                epoch=point.epoch,
                train_loss=point.train_loss,
                dev_loss=point.dev_loss,
                dev_token_accuracy=None,
                seconds=point.seconds,
                dev_score=point.dev_score,
            )
            for point in trained.points
        ),
        best_step=trained.best_step,
        stopped_by=trained.stopped_by,
        learning_rate=plan.learning_rate,
        learning_rate_from=start.rates_from,
        batch=plan.batch_size,
        accumulation=1,
        train_examples=len(context.train),
        dropped_train_examples=0,
        dropped_dev_examples=0,
        trained_tokens=trained.tokens,
        peak_memory_gib=_memory_gib(),
        dev_metric=context.task.metric.value,
    )


def _say_cut(context: FitContext, curve: TrainingCurve, best: _Attempt) -> None:
    """Say that the time limit ended training, if it did."""
    if curve.stopped_by == "budget":
        context.progress.say(
            f"Tuning the {best.plan.what} stopped at its time limit after {curve.points[-1].epoch:.1f} of "
            f"{best.plan.max_epochs} epochs; the weights of step {curve.best_step} are kept."
        )


def _memory_gib() -> float:
    """Measure the peak of the GPU allocator if there is a GPU, else the resident memory of this process."""
    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / GIB)
    return float(psutil.Process().memory_info().rss / GIB)

"""Choose the strength of consolidation: train with ever stronger ones until general English stays as easy as asked.

Each training starts anew, the first without consolidation. The first strength is kept after which the upper end of the
interval of the rise in cross-entropy is within what may be forgotten, else the strongest. That is read on passages that
neither the training, nor the Fisher information, nor the measurement of forgetting that the run decides by has seen, so
choosing makes no measured value better than it is. Under a time limit the first training may take a third of it; what
that took says once how many more there will be, of which each may take as long: shorter trainings forget less, and a
strength may not be kept for that. Not covered: strengths in between, since a training each is what it takes to try one.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import monotonic

import torch

from llmtl.engines.protocol import ModelSource, TextLoss
from llmtl.engines.transformers.loading import load_model
from llmtl.engines.transformers.losses import read_losses
from llmtl.errors import RunError
from llmtl.findings import TriedStrength
from llmtl.general.samples import held_back
from llmtl.metrics.ratios import share_of_rise
from llmtl.numerals import with_minus
from llmtl.quiet import quiet
from llmtl.seals import UNFINISHED
from llmtl.store import read_json, write_json
from llmtl.tuning.config import STRENGTHS
from llmtl.tuning.rate_search import train_at_found_rate
from llmtl.tuning.training import TrainingJob, TrainingOutcome, free_memory, save_points_of

FORESEEN = 3
"""Trainings that a search is foreseen to take, of the five that it may (our choice): the first may take that part."""
NEARLY = 0.9
"""The part of what the first training took that is enough time for another: measuring came on top of its limit."""

_FILE = "strengths.json"


def train_at_found_strength(job: TrainingJob) -> TrainingOutcome:
    """Train as `train_at_found_rate` does, with the strength of consolidation searched where the job says so."""
    if job.config.ewc != "auto":
        return train_at_found_rate(job)
    before = _losses(job, None)
    kept = _kept(job)
    earlier = 0.0
    while True:
        begun, strength = monotonic(), STRENGTHS[len(kept.tried)]
        config = job.config.model_copy(update={"ewc": strength})
        attempt = replace(job, config=config, deadline=_deadline(job, kept))
        outcome = train_at_found_rate(attempt)
        earlier += outcome.earlier_seconds
        found = _measured(strength, before, _losses(job, job.folder))
        took = monotonic() - begun + outcome.earlier_seconds
        kept = _TriedSoFar((*kept.tried, found), kept.planned or _planned(job, took))
        enough = found.high is not None and found.high <= job.most_forgetting
        late = len(kept.tried) == kept.planned < len(STRENGTHS)
        job.progress.say(_told(job, found, enough=enough, late=late))
        if enough or len(kept.tried) == kept.planned:
            return replace(outcome, strengths=kept.tried, earlier_seconds=earlier)
        if job.resumable:
            save_points_of(attempt).clear()
            write_json(_file(job), {"mark": save_points_of(job).mark, **asdict(kept)})


@dataclass(frozen=True)
class _TriedSoFar:
    """The strengths that were tried, and how many are to be tried at most; 0 before the first one says that."""

    tried: tuple[TriedStrength, ...] = ()
    planned: int = 0


def _planned(job: TrainingJob, took: float) -> int:
    """Say how many trainings there is time for, the first one included."""
    if job.deadline is None:
        return len(STRENGTHS)
    more = max(0.0, job.deadline - monotonic()) // (NEARLY * took)
    return min(len(STRENGTHS), 1 + int(more))


def _deadline(job: TrainingJob, kept: _TriedSoFar) -> float | None:
    """Share the time that is left equally among the trainings that are to come."""
    if job.deadline is None:
        return None
    now, coming = monotonic(), kept.planned - len(kept.tried) if kept.planned else FORESEEN
    return now + max(0.0, job.deadline - now) / coming


def _losses(job: TrainingJob, tuned: Path | None) -> Sequence[TextLoss]:
    """Read the losses of the base model, or of what a training kept, on the passages that are held back for this."""
    source = ModelSource(str(job.checkpoint)).tuned(tuned)
    with quiet():
        model = load_model(source, "cuda" if torch.cuda.is_available() else "cpu")
        length = int(model.config.max_position_embeddings)
        found = read_losses(model, job.tokenizer, held_back(), context_length=length)
    del model
    free_memory()
    return found


def _measured(strength: float, before: Sequence[TextLoss], after: Sequence[TextLoss]) -> TriedStrength:
    if not all(math.isfinite(each.nats) for each in after):
        return TriedStrength(strength, None, None, None)
    rise = share_of_rise([each.nats for each in before], [each.nats for each in after])
    return TriedStrength(strength, rise.value, rise.low, rise.high)


def _told(job: TrainingJob, found: TriedStrength, *, enough: bool, late: bool) -> str:
    """Say what a strength brought, and what follows."""
    if found.rise is None or found.high is None:
        what = "the model's losses are no numbers"
    else:
        rise, high = (with_minus(f"{each:+.1%}") for each in (found.rise, found.high))
        what = f"cross-entropy of general English {rise} (at most {high}; {job.most_forgetting:.1%} may be)"
    if enough:
        after = "it is kept"
    elif late:
        after = "it is kept, as there is no time for a stronger one"
    elif found.strength == STRENGTHS[-1]:
        after = "it is kept, the strongest; lower 'learning_rate' or rehearse"
    else:
        after = f"training starts again with {STRENGTHS[STRENGTHS.index(found.strength) + 1]:g}"
    return f"Consolidation of strength {found.strength:g}: {what}; {after}."


def _file(job: TrainingJob) -> Path:
    return job.folder.parent / UNFINISHED / _FILE


def _kept(job: TrainingJob) -> _TriedSoFar:
    """Read which strengths an attempt tried that was killed, so that they are not tried again."""
    if not job.resumable or not _file(job).is_file():
        return _TriedSoFar()
    try:
        kept = read_json(_file(job))
        search = _TriedSoFar(tuple(TriedStrength(**each) for each in kept["tried"]), int(kept["planned"]))
        fits = kept["mark"] == save_points_of(job).mark and len(search.tried) < search.planned <= len(STRENGTHS)
    except (RunError, KeyError, TypeError, ValueError):
        return _TriedSoFar()
    return search if fits else _TriedSoFar()

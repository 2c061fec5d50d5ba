"""The adapter merged into its base model: one checkpoint, checked to predict what was measured.

Not covered: merging on a GPU; weights are merged in memory on the CPU.
"""

import gc
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmtl.engines.protocol import ModelSource, Precision
from llmtl.errors import BundleError
from llmtl.numerals import DIFFERS, some_of
from llmtl.packages import LOCAL, require
from llmtl.progress import Progress
from llmtl.prompting.predictors import prompt_predictor
from llmtl.prompting.template import Template
from llmtl.quiet import quiet
from llmtl.serving.bundle.source import BundleSource
from llmtl.strategy import Prediction

MERGE_TOLERANCE = {"float32": 1e-3, "bfloat16": 5e-2}
"""How far a probability may move by merging. In bfloat16 (8 bits of mantissa) merged weights are rounded once more than
the adapter beside them, and the check runs on another device than the measurement."""

MOST_CHANGED = 0.005
"""The largest share of changed answers where there are no probabilities to compare, as of a live server."""

CHECKED = 200
"""Recorded inputs that a merged checkpoint is checked on, at most; as many as a live server is (`serving.parity`)."""


@dataclass(frozen=True)
class MergeCheck:
    """What merging changed on recorded inputs: labels, and the largest difference of any label's probability."""

    compared: int
    changed: int
    largest_difference: float


def write_merged(source: ModelSource, adapter: Path, folder: Path, *, dtype: Precision) -> None:
    """Write the base model with the adapter merged in to `folder`, in safetensors.

    Merged in `dtype`: in float32 that changes the outputs by no more than rounding. Raises `ModelError` when base and
    adapter do not fit.
    """
    require("Merging an adapter", *LOCAL, "peft")
    from llmtl.engines.transformers.loading import load_model

    with quiet():  # PEFT imports bitsandbytes, which logs a warning when an optional package is missing
        from peft import PeftModel

        base = load_model(replace(source, adapter=None, dtype=dtype), "cpu")
        _refuse_tied(base, adapter)
        merged: Any = PeftModel.from_pretrained(base, str(adapter)).merge_and_unload()
        merged.config.name_or_path = ""
        merged.save_pretrained(folder, safe_serialization=True, max_shard_size="5GB")
    del base, merged
    gc.collect()


def check_merged(folder: Path, source: BundleSource, *, dtype: Precision, progress: Progress) -> MergeCheck:
    """Compare the checkpoint in `folder` with the recorded predictions of base model and adapter.

    Raises `BundleError` with the figures when a probability moved by more than the tolerance, or a label changed that
    was ahead by more than twice that; of answers without probabilities when more than 1 in 200 changed.
    """
    recorded = zip(source.test, source.run_by_weights.test.predictions, strict=True)
    pairs = [(example, then) for example, then in recorded if then.answer is not None][:CHECKED]
    served = _predict(folder, source, [example.text for example, _ in pairs], dtype=dtype, progress=progress)
    if not source.task.kind.one_label:
        return _same_answers(served, [then for _, then in pairs])
    tolerance = MERGE_TOLERANCE[dtype]
    largest = max((_largest(now, then) for now, (_, then) in zip(served, pairs, strict=True)), default=0.0)
    changed = [(then, now) for now, (_, then) in zip(served, pairs, strict=True) if now.answer != then.answer]
    wrong = [then for then, _ in changed if _lead(then) > 2 * tolerance]
    if largest > tolerance or wrong:
        raise BundleError(
            f"The merged checkpoint does not predict what was measured: "
            f"{some_of(len(changed), len(pairs), 'label', DIFFERS)}, and a probability by {largest:.4f} (at most "
            f"{tolerance:g} is rounding); export without --merge."
        )
    return MergeCheck(len(pairs), len(changed), largest)


def _same_answers(served: Sequence[Prediction], recorded: Sequence[Prediction]) -> MergeCheck:
    """Return the check of answers that have no probabilities; raises `BundleError` when too many changed."""
    changed = sum(now.answer != then.answer for now, then in zip(served, recorded, strict=True))
    if changed > MOST_CHANGED * len(recorded):
        raise BundleError(
            f"The merged checkpoint does not predict what was measured: "
            f"{some_of(changed, len(recorded), 'answer', DIFFERS)}; export without --merge."
        )
    return MergeCheck(len(recorded), changed, 0.0)


def _predict(
    folder: Path, source: BundleSource, texts: Sequence[str], *, dtype: Precision, progress: Progress
) -> list[Prediction]:
    """Return the merged checkpoint's predictions of the zero-shot prompts."""
    from llmtl.engines.transformers.engine import TransformersEngine

    engine = TransformersEngine.load(ModelSource(str(folder), dtype=dtype))
    try:
        with progress.stage("Checking the merged model", len(texts)) as advance:
            template = Template(source.task, engine)
            predictor = prompt_predictor(source.task, engine, template, max_tokens=source.served.prompt.max_tokens)
            return predictor.predict(texts, advance=advance)
    finally:
        engine.close()


def _largest(now: Prediction, then: Prediction) -> float:
    """Return the largest difference between two predictions in the probability of any label."""
    if now.answer is None:
        return 1.0
    return max(abs(now.probabilities[label] - value) for label, value in then.probabilities.items())


def _lead(prediction: Prediction) -> float:
    """Return by how much the most probable label is ahead of the next."""
    first, second, *_ = sorted(prediction.probabilities.values(), reverse=True)
    return first - second


def _refuse_tied(base: Any, adapter: Path) -> None:
    """Raise `BundleError` when the adapter changes a matrix that input and output embeddings share.

    PEFT would merge into the shared matrix, and so change the other use of it too.
    """
    from peft import PeftConfig

    targets = PeftConfig.from_pretrained(str(adapter)).target_modules or ()
    named = [name for name in ("lm_head", "embed_tokens") if name in targets]
    if base.config.tie_word_embeddings and named:
        raise BundleError(
            f"The adapter changes '{named[0]}', which this model shares between its input and output embeddings, so it "
            "cannot be merged; export without --merge."
        )

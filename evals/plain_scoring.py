"""Race label scoring by llmtl against plain transformers on a real model, for `bench_scoring.py`.

Plain is what one writes without a harness: each prompt is followed by each label, the batch is padded, one forward pass
gives the log-probabilities of the whole vocabulary, and a label's are added up; as many prompts at once as is fastest.
llmtl scores as its strategies do. Both use the same float32 weights and threads, in turns, on other prompts in every
round; ratios are of processor seconds, which other work on the machine stretches less than wall-clock seconds. llmtl's
sums over the whole vocabulary must be plain's. Then llmtl in bfloat16: its speed, and on how many prompts the labels
stay. Bar: 10 times at 8 labels. Not covered: GPUs, accuracy.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM

from llmtl.engines import ModelSource
from llmtl.engines.tokens import continuations, encode
from llmtl.engines.transformers.engine import TransformersEngine

BAR = 10.0
PROMPTS_AT_ONCE = (1, 2, 4)
CHECKED = 12
TOLERANCE = 1e-3
"""Largest gap between two sums of log-probabilities: float32 sums depend on the order."""

Sums = Callable[[Any, str, Sequence[str]], list[float]]


def race_plain(
    checkpoint: Path, prompts: Sequence[str], answers: Sequence[str], *, rounds: int, sums: Sums
) -> dict[str, Any]:
    """Time both sides in turns; plain scores a quarter of the prompts that llmtl does. `sums` are llmtl's own."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    ours = _engine(checkpoint, "float32")
    short = _engine(checkpoint, "bfloat16")
    plain = PlainScorer(model, ours)
    tried = {size: _timed(lambda size=size: plain.sums(prompts[:4], answers, size))[1][1] for size in PROMPTS_AT_ONCE}
    best = min(tried, key=tried.__getitem__)
    part = max(1, len(prompts) // (4 * rounds))
    ours.score(prompts[:part], answers)  # memory is allocated once; plain's was by finding its best size
    found, theirs = [], []
    for turn in range(rounds):
        mine = prompts[turn * len(prompts) // rounds : (turn + 1) * len(prompts) // rounds]
        scored, plain_time = _timed(lambda mine=mine: plain.sums(mine[:part], answers, best))
        _, own_time = _timed(lambda mine=mine: ours.score(mine, answers))
        _, short_time = _timed(lambda mine=mine: short.score(mine, answers))
        theirs.append((mine[:part], scored))
        found.append({"plain": _rates(part, plain_time), "llmtl": _rates(len(mine), own_time)})
        found[-1]["llmtl, bfloat16"] = _rates(len(mine), short_time)
    ratios = [each["llmtl"]["per_processor_second"] / each["plain"]["per_processor_second"] for each in found]
    checked = [(text, row) for texts, rows in theirs for text, row in zip(texts, rows, strict=True)][:CHECKED]
    own = np.array([sums(ours, text, answers) for text, _ in checked])
    gap = float(np.abs(own - np.array([row for _, row in checked])).max())
    ratio = statistics.median(ratios)
    return {
        "dtype": "float32",
        "examples": {"llmtl": len(prompts), "plain": part * rounds},
        "prompts_at_once_by_plain": best,
        "rounds": found,
        "examples_per_second": {
            name: round(statistics.median(each[name]["per_second"] for each in found), 2) for name in found[0]
        },
        "ratio": round(ratio, 1),
        "ratio_range": [round(min(ratios), 1), round(max(ratios), 1)],
        "bar": BAR,
        "agreement_by_sums": {"examples": len(checked), "largest_difference": gap},
        "bfloat16": _compared(ours, short, prompts, answers, found),
        "met": ratio >= BAR and gap <= TOLERANCE,
    }


class PlainScorer:
    """Scores labels with a transformers model as one would by hand."""

    def __init__(self, model: Any, engine: TransformersEngine) -> None:
        self._model = model
        self._tokenizer = engine.tokenizer
        self._end = engine.tokenizer.convert_tokens_to_ids(engine.end_of_answer)

    @torch.inference_mode()
    def sums(self, prompts: Sequence[str], answers: Sequence[str], at_once: int) -> NDArray[np.float64]:
        """Add up the log-probabilities of each answer's tokens, its end included, (N, A)."""
        rows = []
        for start in range(0, len(prompts), at_once):
            batch = []
            for prompt in prompts[start : start + at_once]:
                [ids] = encode(self._tokenizer, [prompt])
                batch += [(ids, [*path, self._end]) for path in continuations(self._tokenizer, prompt, answers)]
            width = max(len(ids) + len(path) for ids, path in batch)
            # (B, L): padding stands behind, where causal attention never looks at it from a label
            whole = torch.tensor([[*ids, *path, *[0] * (width - len(ids) - len(path))] for ids, path in batch])
            mask = torch.tensor(
                [[1] * (len(ids) + len(path)) + [0] * (width - len(ids) - len(path)) for ids, path in batch]
            )
            logprobs = self._model(input_ids=whole, attention_mask=mask, use_cache=False).logits.log_softmax(-1)
            for row, (ids, path) in enumerate(batch):
                places = torch.arange(len(ids) - 1, len(ids) + len(path) - 1)
                rows.append(float(logprobs[row, places, torch.tensor(path)].double().sum()))
        return np.array(rows).reshape(len(prompts), len(answers))


def _compared(
    ours: TransformersEngine,
    short: TransformersEngine,
    prompts: Sequence[str],
    answers: Sequence[str],
    found: Sequence[dict[str, Any]],
) -> dict[str, float]:
    """Say how much faster bfloat16 is, and on what share of the prompts it picks the same label."""
    choices = [[each.choice for each in engine.score(prompts, answers)] for engine in (ours, short)]
    key = "per_processor_second"
    return {
        "faster": round(statistics.median(each["llmtl, bfloat16"][key] / each["llmtl"][key] for each in found), 2),
        "same_label": round(statistics.mean(a == b for a, b in zip(*choices, strict=True)), 4),
    }


def _timed(work: Callable[[], Any]) -> tuple[Any, tuple[float, float]]:
    """Return what `work` does, and its wall-clock and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    done = work()
    return done, (time.perf_counter() - wall, time.process_time() - processor)


def _rates(count: int, seconds: tuple[float, float]) -> dict[str, float]:
    return {"per_second": round(count / seconds[0], 3), "per_processor_second": round(count / seconds[1], 3)}


def _engine(checkpoint: Path, dtype: Any) -> TransformersEngine:
    return TransformersEngine.load(ModelSource(str(checkpoint), dtype=dtype), device="cpu")

"""Choose bfloat16 on a CPU that has matrix instructions for it (AMX), where a probe on dev shows that it pays.

`model.dtype: auto` is float32 on a CPU, as bfloat16 changes labels. On a CPU with AMX bfloat16 may be several times as
fast, so both are measured on dev inputs before anything is fitted: bfloat16 is taken where nearly all labels stay and
it saves more than starting its engine takes. The run's recipe then says so, and all that follows, serving too, computes
in what was measured. Dev references are not looked at. Not covered: kinds of task that write answers, GPUs, training.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from llmtl.checks.finding import Finding, Level
from llmtl.engines import Engine
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.engine_cache import EngineCache
from llmtl.engines.protocol import Precision
from llmtl.hardware import cpu_has_amx, inspect
from llmtl.pipeline.models import identity
from llmtl.pipeline.prepare import Prepared
from llmtl.progress import Progress
from llmtl.prompting.predictors import prompt_predictor
from llmtl.prompting.template import Template
from llmtl.store import Store
from llmtl.strategy import Role
from llmtl.task import Example

PROBED_PARAMETERS = 100_000_000
"""Models below this size score so fast in float32 that the probe could cost more than it saves."""
MOST_INPUTS, FEWEST_INPUTS = 200, 50
"""How many dev inputs are probed; with fewer, labels that all stay would say little."""
SAME_SHARE = 0.995
"""The least share of labels that must stay: at most one of 200 changes."""
_WARMING = 4


@dataclass(frozen=True)
class PrecisionProbe:
    """What was measured: seconds per input in each format, and how many of the `inputs` got the same label in both.

    `start_seconds` is how long the engine takes to start in bfloat16, `starts` how often the run starts it, and
    `requests` how many zero-shot prompts its scoring is worth.
    """

    inputs: int
    same: int
    float32_seconds: float
    bfloat16_seconds: float
    start_seconds: float
    starts: int
    requests: float

    @property
    def chosen(self) -> Precision:
        """Choose bfloat16 where labels stay and it saves more than its starts take, else float32."""
        stays = self.same >= SAME_SHARE * self.inputs
        saved = self.requests * (self.float32_seconds - self.bfloat16_seconds)
        return "bfloat16" if stays and saved > self.starts * self.start_seconds else "float32"

    @property
    def said(self) -> str:
        """Say in a sentence what was found and chosen."""
        times = self.float32_seconds / self.bfloat16_seconds
        return (
            f"The model computes in {self.chosen}: on {self.inputs} dev inputs bfloat16 was {times:.1f} times as fast "
            f"as float32, after {self.start_seconds:.0f} s to start, and {self.same} got the same label."
        )


def with_precision(prepared: Prepared, store: Store, progress: Progress) -> Prepared:
    """Settle what numbers the model is run in, once for a run folder, and note what was found.

    Changes nothing where the recipe says it, or where the probe does not apply.
    """
    if not _applies(prepared):
        return prepared
    depends_on = {
        "data": prepared.fingerprint,
        "instruction": prepared.task.instruction,
        "labels": prepared.task.labels,
        **({"descriptions": prepared.task.descriptions} if prepared.task.descriptions else {}),
        "model": identity(prepared.recipe.model, prepared.source),
        "strategies": [strategy.name for strategy in prepared.strategies],
    }

    def compute(_: Path) -> dict[str, Any]:
        progress.say("Comparing bfloat16 with float32")
        return asdict(_probe(prepared))

    found = PrecisionProbe(**store.step("precision", depends_on, compute))
    progress.say(found.said)
    noted = replace(
        prepared, findings=(*prepared.findings, Finding("precision", Level.INFO, found.said, code=found.chosen))
    )
    if found.chosen == "float32":
        return noted
    prepared.engines.release()
    model = prepared.recipe.model.model_copy(update={"dtype": found.chosen})
    source = replace(prepared.source, dtype=found.chosen)
    return replace(
        noted,
        recipe=prepared.recipe.model_copy(update={"model": model}),
        source=source,
        engines=EngineCache(source, model.engine, say=progress.say),
    )


def _applies(prepared: Prepared) -> bool:
    """Say whether the recipe leaves the choice open, and a probe could find bfloat16 better."""
    if prepared.recipe.model.dtype != "auto" or not prepared.needs_model or not prepared.task.kind.one_label:
        return False
    if inspect().gpus or not cpu_has_amx() or len(prepared.split.dev) < FEWEST_INPUTS:
        return False
    return inspect_checkpoint(prepared.source.name, prepared.source.revision).parameters >= PROBED_PARAMETERS


def _probe(prepared: Prepared) -> PrecisionProbe:
    """Predict the same dev inputs zero-shot in both formats, by the engines that the run would use."""
    dev = prepared.split.dev[:MOST_INPUTS]
    before, slow = _predicted(prepared, prepared.engines.load(), dev)
    prepared.engines.release()
    cache = EngineCache(replace(prepared.source, dtype="bfloat16"), prepared.recipe.model.engine)
    start = time.perf_counter()
    engine = cache.load()
    started = time.perf_counter() - start
    after, fast = _predicted(prepared, engine, dev)
    cache.release()
    facts = [strategy.facts for strategy in prepared.strategies]
    return PrecisionProbe(
        inputs=len(dev),
        same=sum(one == other for one, other in zip(before, after, strict=True)),
        float32_seconds=slow,
        bfloat16_seconds=fast,
        start_seconds=started,
        starts=1 + sum(each.role is Role.TUNING for each in facts),
        requests=(len(prepared.split.dev) + len(prepared.split.test)) * sum(each.prompts for each in facts),
    )


def _predicted(prepared: Prepared, engine: Engine, dev: Sequence[Example]) -> tuple[list[str | None], float]:
    """Predict the inputs; their answers, None for a failure, and the seconds per input once the engine is warm."""
    predictor = prompt_predictor(prepared.task, engine, Template(prepared.task, engine), max_tokens=None)
    texts = [example.text for example in dev]
    predictor.predict(texts[:_WARMING])
    start = time.perf_counter()
    answers = [prediction.answer for prediction in predictor.predict(texts)]
    return answers, (time.perf_counter() - start) / len(texts)

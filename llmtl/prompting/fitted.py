"""A prompt as it was chosen: kept as JSON, and asked through the engine that the run loads when it is first needed.

    prompt.json    instruction, ids of demonstrations or how they are retrieved, calibration, orders of the labels, room
                   for an answer

Not covered: choosing it (`search`), the model that was tuned for it (`llmtl.strategies.model_tuning`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmtl.engines.protocol import Engine
from llmtl.errors import RunError
from llmtl.findings import AnswerRoom
from llmtl.metrics.recalibration import LabelCalibration, Method
from llmtl.progress import Advance, unwatched
from llmtl.prompting.demonstrations import interleaved
from llmtl.prompting.predictors import Asker
from llmtl.prompting.prompts import Prompts
from llmtl.store import read_json, write_json
from llmtl.strategy import FitContext, Prediction, PromptServed, Retrieval, Retrieved, Served
from llmtl.task import Example, Input

PROMPT_FILE = "prompt.json"


class FittedPrompt:
    """A chosen prompt over the engine that `engine` returns; `ask` makes the predictor for it.

    Asked again after an engine was closed, it words its prompts for the new one. `served` is what the method of that
    name returns, the prompt itself by default. `keep` writes what is kept beside the prompt.
    """

    def __init__(
        self,
        prompt: PromptServed,
        *,
        engine: Callable[[], Engine],
        ask: Callable[[Engine], Asker],
        served: Callable[[], Served] | None = None,
        keep: Callable[[Path], None] | None = None,
    ) -> None:
        self.prompt = prompt
        self._engine, self._ask = engine, ask
        self._served, self._keep = served, keep
        self._asked: tuple[Engine, Asker] | None = None

    def predict(self, inputs: Sequence[Input], *, advance: Advance = unwatched) -> list[Prediction]:
        """Predict in order, one prediction per text; a text whose prompt does not fit the context is a failure."""
        engine = self._engine()
        if self._asked is None or self._asked[0] is not engine:
            self._asked = engine, self._ask(engine)
        return self._asked[1].predict(inputs, advance=advance)

    def save(self, folder: Path) -> None:
        """Write the prompt."""
        write_json(folder / PROMPT_FILE, kept_form(self.prompt))
        if self._keep is not None:
            self._keep(folder)

    def served(self) -> Served:
        """Say how it is served."""
        return self.prompt if self._served is None else self._served()


def fixed(context: FitContext, prompt: PromptServed) -> FittedPrompt:
    """Ask with the prompt's demonstrations before every input, through the engine of what was tuned, if anything."""
    return FittedPrompt(
        prompt,
        engine=lambda: context.load_engine(prompt.tuned),
        ask=lambda engine: fixed_asker(context, prompt, engine),
    )


def fixed_asker(context: FitContext, prompt: PromptServed, engine: Engine) -> Asker:
    """Make what asks an engine with the prompt's demonstrations before every input."""
    prompts = Prompts(context, engine, max_tokens=prompt.max_tokens)
    return prompts.predictor(
        told(prompt, context),
        lambda text: prompt.demonstrations,
        calibration=prompt.calibration,
        rotations=prompt.rotations,
    )


def told(prompt: PromptServed, context: FitContext) -> str:
    """Pick the instruction: the prompt's own, or else the task's."""
    return context.task.instruction if prompt.instruction is None else prompt.instruction


def answer_finding(prompt: PromptServed) -> tuple[AnswerRoom, ...]:
    """Say how long an answer may be, where one is written."""
    return () if prompt.max_tokens is None else (AnswerRoom(prompt.max_tokens),)


def kept_form(prompt: PromptServed) -> dict[str, Any]:
    """Describe a prompt in JSON values; examples are named by their ids in train."""
    kept: dict[str, Any] = {"instruction": prompt.instruction, "max_tokens": prompt.max_tokens}
    if prompt.rotations > 1:
        kept["rotations"] = prompt.rotations
    if prompt.retrieved is None:
        kept["demonstrations"] = [example.id for example in prompt.demonstrations]
    else:
        found = prompt.retrieved
        kept |= {"shots": found.shots, "seed": found.seed, "retrieval": found.by.value}
        kept |= {"sentence_model": found.sentence_model}
        kept |= {} if found.revision is None else {"revision": found.revision}
    return kept | {"calibration": None if prompt.calibration is None else asdict(prompt.calibration)}


def read_prompt(context: FitContext, folder: Path) -> PromptServed:
    """Read the prompt in a folder; raises `RunError` when it is missing or train has changed."""
    return prompt_of(context, read_json(folder / PROMPT_FILE))


def prompt_of(context: FitContext, kept: Mapping[str, Any]) -> PromptServed:
    """Make a prompt from its JSON values; raises `RunError` when a demonstration is not in train any more."""
    retrieved = None
    if "shots" in kept:
        seed = int(kept["seed"])
        pool = retrieval_pool(context, seed)
        by, model = Retrieval(kept.get("retrieval", Retrieval.TFIDF)), str(kept.get("sentence_model") or "")
        retrieved = Retrieved(int(kept["shots"]), seed, pool, by, model, kept.get("revision"))
    return PromptServed(
        instruction=kept.get("instruction"),
        demonstrations=_examples(context, kept.get("demonstrations", ())),
        retrieved=retrieved,
        calibration=_calibration(kept.get("calibration")),
        max_tokens=kept.get("max_tokens"),
        rotations=int(kept.get("rotations", 1)),
    )


def retrieval_pool(context: FitContext, seed: int) -> tuple[Example, ...]:
    """List train in balanced, interleaved order.

    An input that resembles none of them gets demonstrations of different labels that way: equal similarities rank in
    the order given.
    """
    return interleaved(context.train, context.task.labels, count=len(context.train), seed=seed, kind=context.task.kind)


def _examples(context: FitContext, ids: Sequence[str]) -> tuple[Example, ...]:
    known = {example.id: example for example in context.train}
    missing = [each for each in ids if each not in known]
    if missing:
        raise RunError(f"Demonstration '{missing[0]}' is not in train any more; run the recipe again.")
    return tuple(known[each] for each in ids)


def _calibration(kept: Mapping[str, Any] | None) -> LabelCalibration | None:
    if kept is None:
        return None
    return LabelCalibration(Method(kept["method"]), tuple(kept["scale"]), tuple(kept["bias"]))

"""One set of demonstrations, the same for every input, chosen on dev with the instruction.

Not covered: demonstrations chosen for an input (`llmtl.prompting.retrieval`), optimising their order.
"""

from collections.abc import Sequence

from llmtl.errors import ContextLengthError
from llmtl.findings import FitFinding, LeftOutPrompt, SearchTrace, finding
from llmtl.metrics.recalibration import LabelCalibration
from llmtl.prompting.calibrating import calibrate
from llmtl.prompting.config import CalibrationChoice, PromptConfig
from llmtl.prompting.demonstrations import interleaved, stratified
from llmtl.prompting.fitted import answer_finding
from llmtl.prompting.instructions import settled_wordings, wordings
from llmtl.prompting.predictors import Asker
from llmtl.prompting.prompts import Prompts
from llmtl.prompting.search import Candidate, Found, search
from llmtl.prompting.search_time import calibration_inputs, compared_on, shared_seconds
from llmtl.strategy import FitContext, PromptServed
from llmtl.task import Example


class FixedShots:
    """Sets of demonstrations that are the same for every input: the longest of each seed; smaller ones begin it."""

    def __init__(self, prompts: Prompts, *, seeds: int) -> None:
        self.prompts, self.context = prompts, prompts.context
        context = self.context
        self._drawn = {
            seed: interleaved(
                context.train, context.task.labels, count=len(context.train), seed=seed, kind=context.task.kind
            )
            for seed in range(context.seed, context.seed + seeds)
        }
        self.longest = max(
            (example.text for example in (*context.train, *context.dev)), key=prompts.engine.count_tokens
        )

    @property
    def seeds(self) -> tuple[int, ...]:
        """List the seeds, counted from the run's."""
        return tuple(self._drawn)

    def shown(self, seed: int, shots: int) -> tuple[Example, ...]:
        """Take the first `shots` demonstrations of a seed."""
        return self._drawn[seed][:shots]

    def numbers(self, shots: Sequence[int]) -> list[int]:
        """List the numbers of demonstrations that there are, each once, in order."""
        return sorted({min(number, len(self.context.train)) for number in shots})

    def candidate(self, seed: int, shots: int, instruction: str, index: int) -> Candidate:
        """Make the candidate with the wording `instruction`, which is number `index`."""
        return Candidate(shots, seed, self.predictor(instruction, self.shown(seed, shots)), index)

    def predictor(
        self, instruction: str, shown: Sequence[Example], *, calibration: LabelCalibration | None = None
    ) -> Asker:
        """Make the predictor that shows `shown` before every input."""
        return self.prompts.predictor(instruction, lambda text: shown, calibration=calibration)

    def overflow(self, seed: int, shots: int, instruction: str) -> str | None:
        """Say why the longest input does not fit behind the demonstrations; None when it does."""
        needed = self.prompts.tokens(instruction, self.longest, self.shown(seed, shots))
        room = self.prompts.room(instruction)
        return None if needed <= room else f"{needed} tokens with the longest input, room for {room}"


def settled_shots(context: FitContext, shots: Sequence[int]) -> tuple[int, ...]:
    """List the numbers of demonstrations to try; for another draw the one that the first fit chose."""
    settled = finding(context.earlier, SearchTrace)
    return tuple(shots) if settled is None else (settled.shots,)


def fit_fixed(
    shown: FixedShots, config: PromptConfig, *, shots: Sequence[int], name: str
) -> tuple[PromptServed, tuple[FitFinding, ...]]:
    """Find the best of the numbers `shots`, seeds and wordings on dev.

    Raises `ContextLengthError` when no number leaves room for the longest input.
    """
    context = shown.context
    told = settled_wordings(context, config)
    fitting, too_long = _fitting(shown, shots, told[0], name)

    def further(best: Candidate) -> list[Candidate]:
        """Return the other wordings with the best number, all wordings of one seed before the next."""
        return [
            shown.candidate(seed, best.shots, wording, index)
            for seed in shown.seeds
            for index, wording in enumerate(told)
            if index and shown.overflow(seed, best.shots, wording) is None
        ]

    dev = stratified(context.dev, count=config.dev_examples, seed=context.seed, kind=context.task.kind)
    if context.earlier and len(fitting) == 1 and config.calibration is CalibrationChoice.OFF:
        found = Found(fitting[0], (), (), (), (), told)  # another draw, with nothing to choose: dev is not asked for it
    else:
        found = search(fitting, dev, context, name=name, instructions=told, further=[further])
    chosen = shown.shown(found.best.seed, found.best.shots)
    context.progress.say(f"{name}: {found.best.shots} demonstrations, seed {found.best.seed}")
    ids = {example.id for example in chosen}
    calibration, calibrated = calibrate(
        config.calibration,
        context,
        found.best.predictor,
        dev=found.dev,
        predictions=found.predictions,
        spare=[example for example in context.train if example.id not in ids],
    )
    prompt = PromptServed(
        instruction=found.instruction,
        demonstrations=tuple(chosen),
        calibration=calibration,
        max_tokens=shown.prompts.max_tokens(found.instruction),
    )
    trace = found.trace(context.task.metric.value, too_long=too_long)
    return prompt, (trace, *calibrated, *answer_finding(prompt))


def forecast_fixed(shown: FixedShots, config: PromptConfig, shots: Sequence[int]) -> float | None:
    """Forecast the seconds of `fit_fixed`; None where the model's speed is not known, or no number fits."""
    context, told = shown.context, wordings(shown.context.task, config)
    first = context.seed
    numbers = [number for number in shown.numbers(shots) if shown.overflow(first, number, told[0]) is None]
    if context.speed is None or not numbers:
        return None
    inputs = compared_on(context, config)
    tried = [*numbers, *[numbers[-1]] * (len(told) - 1)]
    each = sum(shared_seconds(context.speed, number, inputs) for number in tried)
    return len(shown.seeds) * each + calibration_inputs(context, config) * context.speed.prompt


def _fitting(
    shown: FixedShots, shots: Sequence[int], instruction: str, name: str
) -> tuple[list[Candidate], list[LeftOutPrompt]]:
    """Return the candidates that leave room for the longest train or dev input, and those that do not.

    All numbers of one seed come before the next: a time box cuts seeds first. Raises `ContextLengthError` when none
    fits.
    """
    fitting: list[Candidate] = []
    too_long: list[LeftOutPrompt] = []
    for seed in shown.seeds:
        for number in shown.numbers(shots):
            reason = shown.overflow(seed, number, instruction)
            if reason is None:
                fitting.append(shown.candidate(seed, number, instruction, 0))
            else:
                too_long.append(LeftOutPrompt(number, seed, reason))
    if not fitting:
        raise ContextLengthError(
            f"Even {min(each.shots for each in too_long)} demonstrations and the longest input overflow the model's "
            f"context of {shown.prompts.engine.context_length} tokens; shorten the texts, lower 'strategies."
            f"{name.replace('-', '_')}.shots' or use a model with a longer context."
        )
    return fitting, too_long

"""The `few-shot` strategy: one set of demonstrations, the same for every input, chosen on dev.

Candidates are numbers of demonstrations times seeds; see `demonstrations` for how a seed draws them. A number is tried
only if it leaves room for the longest train or dev input. Not covered: demonstrations chosen for an input
(`knn_few_shot`), optimising their order.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from llmtl.engines.protocol import Engine
from llmtl.errors import ContextLengthError, RunError
from llmtl.label_predictor import PromptPredictor
from llmtl.predictor import FitContext, Predictor, Role
from llmtl.prompting.config import FewShotConfig
from llmtl.prompting.demonstrations import interleaved, stratified
from llmtl.prompting.search import Candidate, LeftOut, search
from llmtl.task import Example
from llmtl.templates import Template


@dataclass(frozen=True)
class FewShot:
    """The strategy; equal dev scores go to fewer demonstrations."""

    config: FewShotConfig = field(default_factory=FewShotConfig)

    @property
    def name(self) -> str:
        """Return `few-shot`."""
        return "few-shot"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the demonstrations that score best on dev.

        Raises `ContextLengthError` when no number of demonstrations leaves room for the longest input.
        """
        engine = context.load_engine(None)
        template = Template(context.task, engine)
        drawn = {seed: self._draw(context, seed) for seed in self._seeds(context)}
        candidates, too_long = _fitting(context, engine, template, self._choices(context, drawn))
        dev = stratified(context.dev, count=self.config.dev_examples, seed=context.seed)
        found = search(candidates, dev, context, name=self.name)
        chosen = drawn[found.best.seed][: found.best.shots]
        context.progress.say(f"few-shot: {found.best.shots} demonstrations, seed {found.best.seed}")
        details = found.details(context.task.metric)
        details["left_out"] = [*map(asdict, too_long), *details["left_out"]]
        details["demonstrations"] = [{"id": each.id, "label": each.reference} for each in chosen]
        return _predictor(context, engine, template, chosen, details=details)

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored demonstrations; raises `RunError` when train has changed."""
        engine = context.load_engine(None)
        known = {example.id: example for example in context.train}
        missing = [each for each in state["demonstrations"] if each not in known]
        if missing:
            raise RunError(f"Demonstration '{missing[0]}' is not in train any more; run the recipe again.")
        chosen = [known[each] for each in state["demonstrations"]]
        return _predictor(context, engine, Template(context.task, engine), chosen, details={})

    def _seeds(self, context: FitContext) -> range:
        """Return the seeds to try, counted from the run's."""
        return range(context.seed, context.seed + self.config.seeds)

    def _draw(self, context: FitContext, seed: int) -> tuple[Example, ...]:
        """Return the longest set of demonstrations of a seed; smaller sets are its beginnings."""
        return interleaved(context.train, context.task.labels, count=max(self.config.shots), seed=seed)

    def _choices(
        self, context: FitContext, drawn: Mapping[int, Sequence[Example]]
    ) -> Iterator[tuple[int, Sequence[Example]]]:
        """Yield (seed, demonstrations): all numbers of one seed before the next: a time box cuts seeds first."""
        numbers = sorted({min(shots, len(context.train)) for shots in self.config.shots})
        for seed, demonstrations in drawn.items():
            yield from ((seed, demonstrations[:shots]) for shots in numbers)


def _predictor(
    context: FitContext, engine: Engine, template: Template, chosen: Sequence[Example], *, details: Mapping[str, Any]
) -> PromptPredictor:
    """Return the predictor that shows `chosen` before every input."""
    return PromptPredictor(
        context.task,
        engine,
        template,
        demonstrations=lambda text: chosen,
        state={"demonstrations": [example.id for example in chosen]},
        details=details,
    )


def _fitting(
    context: FitContext, engine: Engine, template: Template, choices: Iterator[tuple[int, Sequence[Example]]]
) -> tuple[list[Candidate], list[LeftOut]]:
    """Return the candidates that leave room for the longest train or dev input, and those that do not.

    Raises `ContextLengthError` when none does.
    """
    texts = [example.text for example in (*context.train, *context.dev)]
    longest = max(texts, key=engine.count_tokens)
    fitting: list[Candidate] = []
    too_long: list[LeftOut] = []
    for seed, chosen in choices:
        predictor = _predictor(context, engine, template, chosen, details={})
        needed, room = engine.count_tokens(template.prompt(longest, chosen)), predictor.prompt_room()
        if needed <= room:
            fitting.append(Candidate(len(chosen), seed, predictor))
        else:
            too_long.append(LeftOut(len(chosen), seed, f"{needed} tokens with the longest input, room for {room}"))
    if not fitting:
        raise ContextLengthError(
            f"Even {min(each.shots for each in too_long)} demonstrations and the longest input overflow the model's "
            f"context of {engine.context_length} tokens; shorten the texts, lower 'strategies.few_shot.shots' or use a "
            "model with a longer context."
        )
    return fitting, too_long

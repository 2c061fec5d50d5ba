"""The `hosted` strategy: a model behind an OpenAI-compatible endpoint, prompted with or without demonstrations.

Replies are kept beside what fitting wrote, so that a resumed run pays nothing twice. It is not measured unless the
recipe lists it, and is asked nothing when inputs must stay private, unless its endpoint is on this machine. Not
covered: fine-tuning hosted models, serving them (their provider does).
"""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from llmtl.costs import token_prices
from llmtl.engines.openai.config import EndpointConfig, HostedModel
from llmtl.engines.openai.limits import tokens_of, usd_of
from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import RecipeError
from llmtl.findings import PaidFitting
from llmtl.prompting.config import SEEDS, PromptConfig
from llmtl.prompting.fitted import FittedPrompt, fixed_asker, read_prompt
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, settled_shots
from llmtl.prompting.prompts import Prompts
from llmtl.seals import REPLIES
from llmtl.strategy import Facts, FitContext, Fitted, Predictor, PromptServed, ProviderServed, Role, Runs, Strategy
from llmtl.task import Draw

if TYPE_CHECKING:
    from llmtl.engines.openai.engine import OpenAIEngine


class HostedConfig(EndpointConfig, PromptConfig):
    """The choices of the `hosted` strategy: which model, how it may be asked, the candidates that are tried on dev.

    Its prices are those of the recipe's `prices` section.
    """

    shots: tuple[Annotated[int, Field(ge=0)], ...] = Field(
        default=(0, 8), min_length=1, description="Numbers of demonstrations to try; 0 is zero-shot."
    )
    seeds: int = Field(default=1, ge=1, le=1000, description=SEEDS)
    dev_examples: int = Field(default=50, ge=1, description="Candidates are compared on at most so many dev examples.")
    built_in_instructions: bool = Field(
        default=False, description="Whether to try three general wordings of the instruction too."
    )
    top_logprobs: int = Field(
        default=20, ge=0, description="Likeliest tokens to ask for, from which labels get probabilities; 0 for none."
    )


class Hosted(Strategy[HostedConfig]):
    """Equal dev scores go to fewer demonstrations."""

    section = HostedConfig
    facts = Facts(
        name="hosted",
        title="Prompt to a hosted model",
        advice="Prompt {model} at its provider",
        role=Role.PROMPTING,
        served=ProviderServed,
        runs=Runs.PROVIDER,
        default=False,
        races=True,
        draw=Draw.REPLIES,
        redraw=0.25,
        is_made_by="prompting a model at its provider",
        summary="A model at an OpenAI-compatible endpoint.",
    )

    def fit(self, context: FitContext) -> Fitted:
        """Choose the demonstrations and the wording that score best on dev.

        Raises `RecipeError` without a model or its prices, and `HostedError` when it cannot be asked.
        """
        replies = ReplyCache(context.folder / REPLIES)
        model = self._model(context)
        engine = _engine(model, replies)
        shown = FixedShots(Prompts(context, engine), seeds=self.config.seeds)
        shots = settled_shots(context, self.config.shots)
        prompt, findings = fit_fixed(shown, self.config, shots=shots, name=self.name)
        # replies that an interrupted fit kept were paid for, too
        prompt_tokens, cached_tokens, completion_tokens = tokens_of(replies.replies)
        paid = PaidFitting(
            model=model.name,
            base_url=model.endpoint.base_url,
            requests=len(replies),
            usd=usd_of(replies.replies, token_prices(context.prices)),
            unsupported=tuple(engine.facts["unsupported"]),
            prompt_tokens=prompt_tokens,
            cached_tokens=cached_tokens,
            completion_tokens=completion_tokens,
        )
        context.progress.say(f"hosted: {paid.requests} requests, {paid.usd:.4f} USD")
        return Fitted(self._fitted(context, prompt, engine), (*findings, paid))

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load demonstrations and wording; raises `RunError` when train has changed."""
        return self._fitted(context, read_prompt(context, folder))

    def _fitted(self, context: FitContext, prompt: PromptServed, engine: "OpenAIEngine | None" = None) -> FittedPrompt:
        """Make the predictor; its replies are kept beside what fitting wrote."""

        @cache
        def opened() -> "OpenAIEngine":
            return engine or _engine(self._model(context), ReplyCache(context.folder / REPLIES))

        return FittedPrompt(
            prompt,
            engine=opened,
            ask=lambda engine: fixed_asker(context, prompt, engine),
            served=lambda: ProviderServed(self._model(context), prompt),
        )

    def _model(self, context: FitContext) -> HostedModel:
        """Say which model is asked, and how."""
        if not self.config.model:
            raise RecipeError("The strategy 'hosted' needs a model; set strategies.hosted.model.")
        limits = [usd for usd in (self.config.max_usd, context.budget.usd) if usd is not None]
        config = self.config.model_copy(update={"max_usd": min(limits, default=None)})
        return HostedModel(config, token_prices(context.prices), top_logprobs=config.top_logprobs)


def _engine(model: HostedModel, replies: ReplyCache) -> "OpenAIEngine":
    """Make the engine that keeps its replies; raises `HostedError` when the key is not set."""
    from llmtl.engines.openai.engine import OpenAIEngine

    return OpenAIEngine(model, replies)

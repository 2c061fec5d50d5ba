"""The `hosted` strategy: a model behind an OpenAI-compatible endpoint, prompted with or without demonstrations.

Replies are kept beside what fitting wrote, so that a resumed run pays nothing twice. It is not measured unless the
recipe lists it, and is asked nothing when inputs must stay private, unless its endpoint is on this machine. Not
covered: fine-tuning hosted models, serving them (their provider does).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmtl.costs import token_prices
from llmtl.engines.openai.config import HostedModel
from llmtl.engines.openai.engine import OpenAIEngine
from llmtl.engines.openai.limits import usd_of
from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import RecipeError
from llmtl.prompting.config import HostedConfig
from llmtl.prompting.fixed_shots import FixedShots, fit_fixed, restore_fixed
from llmtl.prompting.prompts import Prompts
from llmtl.strategy import FitContext, Predictor, Role

REPLIES = "replies.jsonl"


@dataclass(frozen=True)
class Hosted:
    """The strategy; equal dev scores go to fewer demonstrations."""

    config: HostedConfig

    @property
    def name(self) -> str:
        """Return `hosted`."""
        return "hosted"

    @property
    def role(self) -> Role:
        """Return the prompting role."""
        return Role.PROMPTING

    def fit(self, context: FitContext) -> Predictor:
        """Return the predictor with the demonstrations and the wording that score best on dev.

        Raises `RecipeError` without a model or its prices, and `HostedError` when it cannot be asked.
        """
        cache = ReplyCache(context.folder / REPLIES)
        engine = self._engine(context, cache)
        shown = FixedShots(Prompts(context, engine), seeds=self.config.seeds)
        prices = token_prices(context.prices)

        def facts() -> dict[str, Any]:  # replies that an interrupted fit kept were paid for, too
            return engine.facts | {"requests": len(cache), "spent_usd": usd_of(cache.replies, prices)}

        fitted = fit_fixed(
            shown, self.config, shots=self.config.shots, name=self.name, facts=lambda: {"hosted": facts()}
        )
        context.progress.say(f"hosted: {facts()['requests']} requests, {facts()['spent_usd']:.4f} USD")
        return fitted

    def restore(self, context: FitContext, state: Mapping[str, Any]) -> Predictor:
        """Return the predictor with the stored demonstrations; raises `RunError` when train has changed."""
        return restore_fixed(Prompts(context, self._engine(context, ReplyCache(context.folder / REPLIES))), state)

    def _engine(self, context: FitContext, cache: ReplyCache) -> OpenAIEngine:
        """Return the engine that keeps its replies in `cache`."""
        if not self.config.model:
            raise RecipeError("The strategy 'hosted' needs a model; set strategies.hosted.model.")
        prices = token_prices(context.prices)
        return OpenAIEngine(HostedModel(self.config, prices, top_logprobs=self.config.top_logprobs), cache)

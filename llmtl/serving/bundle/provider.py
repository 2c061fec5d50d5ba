"""A hosted winner in a bundle: which model at which endpoint, and how it may be asked. Its key is never written.

    hosted.json    the endpoint, the limits, what tokens cost, what a request cost on average

Served requests have a spend limit of their own, the recipe's `strategies.hosted.max_usd`, for each start of the server;
LLMTL_HOSTED_MAX_USD replaces it. Replies are kept in memory only, so that the same input is not paid twice at once. Not
covered: the wording (`llmtl.prompting.template`), keys, which stay in the environment.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from llmtl.costs import TokenPrices
from llmtl.engines.openai.config import EndpointConfig, HostedModel
from llmtl.engines.openai.replies import ReplyCache
from llmtl.errors import BundleError, HostedError
from llmtl.foreign_files import read_whole
from llmtl.json_and_yaml import parse_json
from llmtl.measured.endpoint import Paid
from llmtl.measured.evaluation import Evaluation
from llmtl.prompting.predictors import Asker, LabelPredictor, TextPredictor
from llmtl.prompting.template import Template
from llmtl.serving.bundle.manifest import Bundle
from llmtl.store import write_json

if TYPE_CHECKING:
    from llmtl.engines.openai.engine import OpenAIEngine

HOSTED_FILE = "hosted.json"
LIMIT_VARIABLE = "LLMTL_HOSTED_MAX_USD"
ADDRESS_VARIABLE = "LLMTL_PROVIDER_URL"
"""Where inputs of a bundle that somebody else may have made may go."""
_USUAL = tuple(EndpointConfig.model_fields[name].default for name in ("base_url", "api_key_env"))
_REPLIES = 4096
"""Replies kept in memory, at most."""


@dataclass(frozen=True)
class HostedWinner:
    """A hosted model, what its tokens cost, and what one request cost on average when it was measured, USD."""

    endpoint: EndpointConfig
    prices: TokenPrices
    top_logprobs: int
    usd_per_request: float

    @property
    def model(self) -> HostedModel:
        """Give the model as it is asked."""
        return HostedModel(self.endpoint, self.prices, top_logprobs=self.top_logprobs)

    @property
    def where(self) -> str:
        """Write the model and its endpoint in words."""
        return f"'{self.endpoint.model}' at {self.endpoint.base_url}"


class _Stored(EndpointConfig):
    """The part `model` of `hosted.json`; the name of a recipe section, which older bundles hold, is not used."""

    prices: TokenPrices
    top_logprobs: int
    section: str = ""


@dataclass(frozen=True)
class _Document:
    """What `hosted.json` holds."""

    model: _Stored
    usd_per_request: float


_DOCUMENT = TypeAdapter(_Document)


def hosted_winner(
    endpoint: EndpointConfig, prices: TokenPrices, test: Evaluation, *, top_logprobs: int
) -> HostedWinner:
    """Describe a hosted model for a bundle; `test` has what requests took.

    Raises `BundleError` when its address holds a name or password, which would then be in the bundle.
    """
    if "@" in urlsplit(endpoint.base_url).netloc:
        raise BundleError(
            "strategies.hosted.base_url holds a name or password, which a bundle must not; give the key by "
            "strategies.hosted.api_key_env and run again."
        )
    usd = fmean(
        prices.usd(prompt=each.prompt_tokens, cached=each.cached_tokens, completion=each.completion_tokens)
        for each in test.predictions
    )
    return HostedWinner(_asked(endpoint), prices, top_logprobs, usd)


def _asked(given: EndpointConfig) -> EndpointConfig:
    """Return the endpoint alone, without the other choices of a recipe section."""
    return EndpointConfig.model_validate({name: getattr(given, name) for name in EndpointConfig.model_fields})


def write_hosted(winner: HostedWinner, folder: Path) -> None:
    """Write `hosted.json`."""
    model = {**winner.endpoint.model_dump(mode="json"), "prices": asdict(winner.prices)}
    model["top_logprobs"] = winner.top_logprobs
    write_json(folder / HOSTED_FILE, {"model": model, "usd_per_request": winner.usd_per_request})


def read_hosted(folder: Path, environment: Mapping[str, str]) -> HostedWinner:
    """Read `hosted.json`, with the spend limit that `environment` sets, if it sets one.

    Raises `BundleError` for a damaged file and `HostedError` for a limit that is not a positive number.
    """
    try:
        found = _DOCUMENT.validate_python(parse_json(read_whole(folder / HOSTED_FILE)))
    except (OSError, ValueError, ValidationError) as error:
        raise BundleError(f"'{folder / HOSTED_FILE}' is missing or damaged; export the bundle again.") from error
    endpoint, limit = _asked(found.model), environment.get(LIMIT_VARIABLE)
    if limit is not None:
        endpoint = endpoint.model_copy(update={"max_usd": _usd(limit)})
    return HostedWinner(endpoint, found.model.prices, found.model.top_logprobs, found.usd_per_request)


def require_key(winner: HostedWinner, environment: Mapping[str, str]) -> None:
    """Raise `HostedError` unless the environment has the key of a hosted model that needs one."""
    name = winner.endpoint.api_key_env
    if name is not None and not environment.get(name, "").strip():
        raise HostedError(f"The key of {winner.where} is missing; set the environment variable {name}.")


def require_meant(winner: HostedWinner, environment: Mapping[str, str]) -> None:
    """Raise `HostedError` unless who serves a bundle said that inputs, and a key, may go where the bundle says.

    Whoever made it could name any address and any environment variable. Addresses on this machine need no word, nor
    does OpenAI's own with its own key.
    """
    endpoint = winner.endpoint
    usual = (endpoint.base_url, endpoint.api_key_env) == _USUAL
    if usual or endpoint.on_this_machine or environment.get(ADDRESS_VARIABLE) == endpoint.base_url:
        return
    key = f" and the key in {endpoint.api_key_env}" if endpoint.api_key_env else ""
    raise HostedError(
        f"This bundle would send every input{key} to {endpoint.base_url}; if you mean that, set "
        f"{ADDRESS_VARIABLE}={endpoint.base_url}."
    )


@dataclass(frozen=True)
class HostedAsking:
    """A hosted model asked as measured, and what that took so far."""

    bundle: Bundle
    engine: "OpenAIEngine"
    template: Template

    def predictor(self) -> Asker:
        """Make the predictor."""
        served, most = self.bundle.winner, self.bundle.output.max_tokens
        if most is None:
            return LabelPredictor(
                self.bundle.task,
                self.engine,
                self.template,
                demonstrations=lambda text: served.demonstrations,
                calibration=served.calibration,
            )
        return TextPredictor(
            self.engine, self.template, max_tokens=most, demonstrations=lambda text: served.demonstrations
        )

    def shown(self, text: str) -> str:
        """Write all messages that the provider gets for an input, for a person to read."""
        turns = self.template.messages(text, self.bundle.winner.demonstrations)
        return "\n\n".join(f"[{turn['role']}]\n{turn['content']}" for turn in turns)

    @property
    def paid(self) -> Paid:
        """Add up what the provider was paid by this process; kept replies are not paid again."""
        facts = self.engine.facts
        return Paid(facts["requests"], facts["spent_usd"] or 0.0)


def load_hosted(bundle: Bundle, winner: HostedWinner) -> HostedAsking:
    """Prepare to ask the hosted model as measured; raises `HostedError` without its key."""
    from llmtl.engines.openai.engine import OpenAIEngine  # the openai package: a third of what a server imports

    engine = OpenAIEngine(winner.model, ReplyCache(most=_REPLIES))
    return HostedAsking(bundle, engine, Template(bundle.winner.told(bundle.task), engine))


def _usd(text: str) -> float:
    """Return the USD in an environment variable."""
    try:
        limit = float(text)
    except ValueError:
        limit = 0.0
    if not 0 < limit < float("inf"):
        raise HostedError(f"The environment variable {LIMIT_VARIABLE} is '{text}'; give a number above 0.")
    return limit

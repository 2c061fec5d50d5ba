"""The price table: dated list prices of machines and hosted models, from the file beside this or from your own.

Not covered: looking prices up on the network; a price is as old as its `as_of` says.
"""

import datetime
import difflib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llmtl.errors import MissingFileError, RecipeError
from llmtl.json_and_yaml import parse_yaml, yaml_problem

TABLE_FILE = "prices.yaml"
_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Dated(BaseModel):
    """What every price carries: what it is of, when somebody last read it, and where."""

    model_config = _STRICT

    what: str = Field(min_length=1, description="Whose machine or model, and which.")
    as_of: datetime.date = Field(description="The day on which the price was read.")
    source: str = Field(pattern=r"^https?://", description="The seller's own page that says it.")
    via: str | None = Field(default=None, pattern=r"^https?://", description="Who copied it there that day, if not we.")


class MachinePrice(Dated):
    """One hour of a machine, whole, on demand."""

    usd_per_hour: float = Field(ge=0, description="USD for one hour.")
    gpu: str | None = Field(default=None, description="The kind of its GPU, which names it too: `a10g`.")
    region: str | None = Field(
        default=None, description="Where it stands; none where the price is the same everywhere."
    )


class ServerlessPrice(Dated):
    """One second of use of a machine that costs nothing while it idles."""

    usd_per_second: float = Field(ge=0, description="USD for one second of use.")
    region: str | None = Field(
        default=None, description="Where it stands; none where the price is the same everywhere."
    )


class ModelPrice(Dated):
    """A hosted model, USD per million tokens."""

    prompt: float = Field(ge=0, description="USD for a million prompt tokens.")
    cached: float | None = Field(default=None, ge=0, description="The same for tokens found in the provider's cache.")
    completion: float = Field(ge=0, description="USD for a million tokens that the model writes.")


class PriceTable(BaseModel):
    """Prices by name."""

    model_config = _STRICT

    machines: dict[str, MachinePrice] = Field(default_factory=dict, description="Machines, with or without a GPU.")
    serverless: dict[str, ServerlessPrice] = Field(default_factory=dict, description="Machines paid by use.")
    models: dict[str, ModelPrice] = Field(default_factory=dict, description="Hosted models.")

    def machine(self, name: str) -> MachinePrice:
        """Look up the price of a machine, by the kind of its GPU the first listed one that has it.

        Raises `RecipeError` for a name that the table lacks.
        """
        return _found(self.machines, self.machine_name(name), "machine")

    def machine_name(self, name: str) -> str:
        """Find the name of the first machine with a kind of GPU; other names stay as they are."""
        if name in self.machines:
            return name
        return next((entry for entry, price in self.machines.items() if price.gpu == name.lower()), name)

    def serverless_machine(self, name: str) -> ServerlessPrice:
        """Look up the price of a machine paid by use; raises `RecipeError` for a name that the table lacks."""
        return _found(self.serverless, name, "serverless machine")

    def model(self, name: str) -> ModelPrice:
        """Look up the price of a hosted model; raises `RecipeError` for a name that the table lacks."""
        return _found(self.models, name, "hosted model")


def read_table(path: str | None = None) -> PriceTable:
    """Read the table in a YAML file, or llmtl's own.

    Raises `MissingFileError` when there is no such file and `RecipeError` when it is not a price table.
    """
    if path is None:
        text = files("llmtl.costs").joinpath(TABLE_FILE).read_bytes()
    elif Path(path).is_file():
        text = Path(path).read_bytes()
    else:
        raise MissingFileError(f"There is no price table at '{path}'; check prices.table.")
    shown = path or TABLE_FILE
    try:
        return PriceTable.model_validate(parse_yaml(text) or {})
    except yaml.YAMLError as error:
        raise RecipeError(f"'{shown}' is not valid YAML ({yaml_problem(error)}); fix it.") from None
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the top"
        raise RecipeError(f"'{shown}' is not a price table: at {where}, {first['msg'].lower()}; fix it.") from None


Entry = TypeVar("Entry", bound=Dated)


def _found(entries: Mapping[str, Entry], name: str, what: str) -> Entry:
    if name in entries:
        return entries[name]
    near = difflib.get_close_matches(name, entries, n=1)
    hint = f"did you mean '{near[0]}'?" if near else f"it has {', '.join(entries) or 'none'}"
    raise RecipeError(f"The price table has no {what} '{name}' ({hint}); give the price itself, or prices.table.")

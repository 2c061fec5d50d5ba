"""What a recipe says about money: the `prices` section.

Not covered: which strategies are too dear (`decision.max_usd_per_1k`).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llmtl.costs.table import read_table

DEFAULT_CPU, DEFAULT_GPU = "m7g.large", "g5.xlarge"
"""The machines whose prices are the defaults below."""


class PriceConfig(BaseModel):
    """What compute and labels cost and how much of them is needed; the defaults are list prices: set your own.

    `gpu`, `cpu` and `hosted` name entries of the price table (`llmtl/costs/prices.yaml`, or `table`), which fill in the
    prices that are not given. Defaults: Amazon EC2, on demand, us-east-1, Linux, as listed in June 2026: m7g.large
    (2 vCPUs, 8 GiB) for the CPU and g5.xlarge (one A10G, 24 GB) for the GPU.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cpu: str | None = Field(default=None, description="The CPU machine, by its name in the price table.")
    gpu: str | None = Field(default=None, description="The machine with one GPU, by its name in the price table.")
    hosted: str | None = Field(default=None, description="The hosted model, by its name in the price table.")
    table: str | None = Field(default=None, min_length=1, description="A price table of one's own (YAML).")
    usd_per_cpu_hour: float = Field(default=0.0816, ge=0, description="USD for one hour of the CPU machine.")
    usd_per_gpu_hour: float = Field(default=1.006, ge=0, description="USD for one hour of the machine with one GPU.")
    usd_per_million_prompt_tokens: float | None = Field(
        default=None, ge=0, description="USD for a million prompt tokens of a hosted model; none by default."
    )
    usd_per_million_cached_tokens: float | None = Field(
        default=None,
        ge=0,
        description="USD for a million prompt tokens that the provider found in its cache; by default as any other.",
    )
    usd_per_million_completion_tokens: float | None = Field(
        default=None, ge=0, description="USD for a million tokens that a hosted model wrote; none by default."
    )
    usd_per_label: float | None = Field(
        default=None,
        ge=0,
        description="USD that labelling one example costs; without it labels are counted, not priced.",
    )
    requests_per_month: float = Field(default=100_000, ge=0, description="Expected requests per month.")
    months: float = Field(default=12, gt=0, description="Months over which training has to pay off.")

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, values: Any) -> Any:
        """Return the values with the prices of the named entries where none is given.

        A given price wins, so that a kept recipe means the same after the table has changed.
        """
        if not isinstance(values, Mapping):
            return values
        if not any(values.get(name) for name in ("cpu", "gpu", "hosted")):
            if values.get("table") is not None:
                raise ValueError("a price table is given and nothing names an entry of it; set cpu, gpu or hosted")
            return values
        return {**_named(values), **{name: value for name, value in values.items() if value is not None}}

    @property
    def requests(self) -> float:
        """Count the requests over the horizon."""
        return self.requests_per_month * self.months


def _named(values: Mapping[str, Any]) -> dict[str, float]:
    """Return the prices of the entries that `values` names; the table is only read for prices that are not given."""
    machines = {"usd_per_cpu_hour": values.get("cpu"), "usd_per_gpu_hour": values.get("gpu")}
    wanted = {field: str(name) for field, name in machines.items() if name and values.get(field) is None}
    hosted = values.get("hosted")
    tokens = hosted and values.get("usd_per_million_prompt_tokens") is None
    if not wanted and not tokens:
        return {}
    table = read_table(values.get("table"))
    found = {field: table.machine(name).usd_per_hour for field, name in wanted.items()}
    if tokens:
        price = table.model(str(hosted))
        found["usd_per_million_prompt_tokens"] = price.prompt
        found["usd_per_million_completion_tokens"] = price.completion
        found["usd_per_million_cached_tokens"] = price.prompt if price.cached is None else price.cached
    return found

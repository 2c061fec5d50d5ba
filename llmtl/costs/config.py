"""What a recipe says about money: the `prices` section.

Not covered: which strategies are too dear (`decision.max_usd_per_1k`).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from llmtl.costs.table import read_table

DEFAULT_CPU, DEFAULT_GPU = "m7g.large", "g5.xlarge"
"""The machines whose prices are the defaults below."""
DEFAULT_SERVERLESS_CPU, DEFAULT_SERVERLESS_GPU = "modal/cpu", "modal/a10"
"""The same for machines that are paid by the second of use."""


class Billing(StrEnum):
    """How requests on your own hardware are paid."""

    MACHINES = "machines"
    SERVERLESS = "serverless"


class PriceConfig(BaseModel):
    """What compute and labels cost and how much of them is needed; the defaults are list prices: set your own.

    `gpu`, `cpu`, `serverless_gpu`, `serverless_cpu` and `hosted` name entries of the price table
    (`llmtl/costs/prices.yaml`, or `table`), which fill in the prices that are not given. The defaults are those of
    m7g.large (2 vCPUs, 8 GiB) for the CPU and of g5.xlarge (one A10G, 24 GB) for the GPU, both Amazon EC2 in us-east-1.

    With `billing: machines` a strategy needs as many whole machines as carry the requests of the peak, at least one,
    all hours of the month. The peak is `peak_factor` times the mean; a machine is loaded up to `utilisation` of the
    throughput measured: at 0.6 of what a single server can do a request waits 1.5 times its own service on average
    (M/M/1; Kleinrock 1975, "Queueing Systems", volume 1, section 3.2).
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    cpu: str | None = Field(default=None, description="The CPU machine, by its name in the price table.")
    gpu: str | None = Field(
        default=None, description="The machine with one GPU, by its name in the price table, or by that of its GPU."
    )
    serverless_cpu: str | None = Field(
        default=None, description="The CPU that is paid by the second of use, by its name in the price table."
    )
    serverless_gpu: str | None = Field(
        default=None, description="The GPU that is paid by the second of use, by its name in the price table."
    )
    hosted: str | None = Field(default=None, description="The hosted model, by its name in the price table.")
    table: str | None = Field(default=None, min_length=1, description="A price table of your own (YAML).")
    usd_per_cpu_hour: float = Field(default=0.0816, ge=0, description="USD for one hour of the CPU machine.")
    usd_per_gpu_hour: float = Field(default=1.006, ge=0, description="USD for one hour of the machine with one GPU.")
    billing: Billing = Field(
        default=Billing.MACHINES,
        description="How your own hardware is paid: whole machines by the hour, or serverless by the second of use.",
    )
    usd_per_cpu_second: float = Field(
        default=0.00003086, ge=0, description="USD for one second of use of a serverless CPU machine."
    )
    usd_per_gpu_second: float = Field(
        default=0.000306, ge=0, description="USD for one second of use of a serverless GPU."
    )
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
    requests_per_month: float = Field(default=100_000, ge=0, le=1e12, description="Expected requests per month.")
    peak_factor: float = Field(
        default=3, ge=1, description="How many times as many requests come at the peak as on average."
    )
    utilisation: float = Field(
        default=0.6,
        gt=0,
        le=1,
        description="The share of the measured throughput that a machine may carry at the peak.",
    )
    months: float = Field(default=12, gt=0, le=1200, description="Months over which training has to pay off.")
    assumed: tuple[str, ...] | None = Field(
        default=None, description="Which of these nobody stated; llmtl notes it in the recipe that it keeps."
    )

    @model_validator(mode="before")
    @classmethod
    def _look_up(cls, values: Any) -> Any:
        """Fill in the prices of the named entries where none is given, and note what nobody stated.

        A given price wins, so that a kept recipe means the same after the table has changed.
        """
        if not isinstance(values, Mapping):
            return values
        stated = {name: value for name, value in values.items() if value is not None}
        if stated.get("table") is not None and not any(stated.get(name) for name in (*_MACHINES, "hosted")):
            raise ValueError("a price table is given and nothing names an entry of it; set cpu, gpu or hosted")
        assumed = {"assumed": _unstated(cls, stated)} if "assumed" not in stated else {}
        return {**_named(stated), **stated, **assumed}

    @property
    def requests(self) -> float:
        """Count the requests over the horizon."""
        return self.requests_per_month * self.months

    def is_assumed(self, name: str) -> bool:
        """Say whether a value is llmtl's own, because nobody stated it."""
        return name in (self.assumed or ()) and getattr(self, name) == type(self).model_fields[name].default


_MACHINES = {
    "cpu": "usd_per_cpu_hour",
    "gpu": "usd_per_gpu_hour",
    "serverless_cpu": "usd_per_cpu_second",
    "serverless_gpu": "usd_per_gpu_second",
}
"""What names an entry of the table, and the price that it fills in."""
_ASSUMABLE = ("requests_per_month", "peak_factor", "utilisation", "months", "billing", *_MACHINES.values())


def _unstated(schema: type[PriceConfig], stated: Mapping[str, Any]) -> tuple[str, ...]:
    """List what nobody stated.

    A recipe that an earlier version kept has every value written out: there, what is the default counts as not stated.
    """
    kept = "peak_factor" not in stated and {"usd_per_cpu_hour", "usd_per_gpu_hour", "months"} <= stated.keys()
    names = {price: name for name, price in _MACHINES.items()}

    def unstated(field: str) -> bool:
        if names.get(field) in stated:
            return False
        return field not in stated or (kept and stated[field] == schema.model_fields[field].default)

    return tuple(field for field in _ASSUMABLE if unstated(field))


def _named(stated: Mapping[str, Any]) -> dict[str, float]:
    """Return the prices of the entries that are named; the table is only read for prices that are not given."""
    wanted = {price: str(stated[name]) for name, price in _MACHINES.items() if stated.get(name) and price not in stated}
    hosted = stated.get("hosted")
    tokens = hosted and "usd_per_million_prompt_tokens" not in stated
    if not wanted and not tokens:
        return {}
    table = read_table(stated.get("table"))
    found = {
        price: table.serverless_machine(name).usd_per_second
        if price.endswith("second")
        else table.machine(name).usd_per_hour
        for price, name in wanted.items()
    }
    if tokens:
        model = table.model(str(hosted))
        found["usd_per_million_prompt_tokens"] = model.prompt
        found["usd_per_million_completion_tokens"] = model.completion
        found["usd_per_million_cached_tokens"] = model.prompt if model.cached is None else model.cached
    return found

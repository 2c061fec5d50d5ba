"""Money.

    config.py        the `prices` section of a recipe
    prices.yaml      dated list prices with their sources
    table.py         reading such a table
    token_prices.py  what a hosted model's tokens cost
    usd.py           tokens and seconds at the recipe's prices
    pricing.py       what a measured strategy costs at them: whole machines, or by use
    timing.py        how exactly seconds, and so costs, are known
    volume.py        cost over the request volume, and where strategies cross
    error_cost.py    cost over what a wrong answer costs, and where strategies cross
    pre_training.py  what training a model from scratch would have cost, estimated
    spending.py      what making a decision took
    ledger.py        what each step of that spent

Not covered: which strategy is chosen for being cheap (`llmtl.decision`).
"""

from llmtl.costs.config import Billing, PriceConfig
from llmtl.costs.error_cost import ErrorCrossing, ErrorLine, cheapest_by_error_cost, error_crossings
from llmtl.costs.ledger import Entry, Ledger, WorkKind
from llmtl.costs.pricing import MemberUse, Pricing, StatedCost, Usage, requests_per_machine
from llmtl.costs.spending import UNKNOWN, Spending, Spent
from llmtl.costs.table import MachinePrice, ModelPrice, PriceTable, ServerlessPrice, read_table
from llmtl.costs.timing import cost_noise, cost_of_load, noise_between, timing_noise
from llmtl.costs.token_prices import TokenPrices, token_prices
from llmtl.costs.usd import (
    HOURS_PER_MONTH,
    NO_TOKENS,
    SECONDS_PER_HOUR,
    Device,
    Tokens,
    gpu_hours,
    usd_for_seconds,
    usd_per_1k_requests,
)
from llmtl.costs.volume import CostLine, Crossing, Running, cheapest_by_volume, crossing, crossings

__all__ = [
    "HOURS_PER_MONTH",
    "NO_TOKENS",
    "SECONDS_PER_HOUR",
    "UNKNOWN",
    "Billing",
    "CostLine",
    "Crossing",
    "Device",
    "Entry",
    "ErrorCrossing",
    "ErrorLine",
    "Ledger",
    "MachinePrice",
    "MemberUse",
    "ModelPrice",
    "PriceConfig",
    "PriceTable",
    "Pricing",
    "Running",
    "ServerlessPrice",
    "Spending",
    "Spent",
    "StatedCost",
    "TokenPrices",
    "Tokens",
    "Usage",
    "WorkKind",
    "cheapest_by_error_cost",
    "cheapest_by_volume",
    "cost_noise",
    "cost_of_load",
    "crossing",
    "crossings",
    "error_crossings",
    "gpu_hours",
    "noise_between",
    "read_table",
    "requests_per_machine",
    "timing_noise",
    "token_prices",
    "usd_for_seconds",
    "usd_per_1k_requests",
]

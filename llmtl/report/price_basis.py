"""What costs rest on, in words: volume, peak, utilisation and machines, and what of that nobody stated.

Not covered: the costs themselves (`money`).
"""

from dataclasses import dataclass

from llmtl.costs import HOURS_PER_MONTH, SECONDS_PER_HOUR, Billing, PriceConfig, read_table
from llmtl.costs.config import DEFAULT_CPU, DEFAULT_GPU, DEFAULT_SERVERLESS_CPU, DEFAULT_SERVERLESS_GPU
from llmtl.costs.table import Dated
from llmtl.report import wording
from llmtl.report.content import ReportContent

ASSUMED = "assumed"


@dataclass(frozen=True)
class Basis:
    """One thing that costs rest on: `setting` is how to state it, `source` a page that says so, if there is one."""

    name: str
    value: str
    setting: str
    assumed: bool
    source: str | None = None


def basis(content: ReportContent, prices: PriceConfig) -> tuple[Basis, ...]:
    """List what costs rest on, as far as some strategy needs it."""
    devices = devices_of(content)
    serverless = prices.billing is Billing.SERVERLESS
    per_second = prices.requests_per_month * prices.peak_factor / HOURS_PER_MONTH / SECONDS_PER_HOUR
    found = [
        Basis(
            "Requests per month",
            wording.count(prices.requests_per_month),
            "--requests-per-month",
            prices.is_assumed("requests_per_month"),
        ),
        Basis(
            "Months over which fitting is spread", f"{prices.months:g}", "prices.months", prices.is_assumed("months")
        ),
    ]
    if not serverless:
        found += [
            Basis(
                "Peak",
                f"{prices.peak_factor:g} times the mean, {wording.rate(per_second)} requests per second",
                "prices.peak_factor",
                prices.is_assumed("peak_factor"),
            ),
            Basis(
                "Utilisation",
                f"a machine carries up to {wording.percent(prices.utilisation)} of the throughput measured",
                "prices.utilisation",
                prices.is_assumed("utilisation"),
            ),
        ]
    return (*found, *(_machine(device, prices) for device in ("cpu", "cuda") if device in devices))


def sentences(content: ReportContent, prices: PriceConfig) -> list[str]:
    """Tell in full sentences how requests are paid, and what is assumed."""
    items = basis(content, prices)
    assumed = [item.name[:1].lower() + item.name[1:] for item in items if item.assumed]
    told = [_how_paid(prices, devices_of(content))]
    told += [f"{item.name}: {item.value}{f' ({ASSUMED})' if item.assumed else ''}." for item in items]
    if assumed:
        told.append("What is marked assumed was not stated: set it, and the costs follow; nothing is measured again.")
    if prices.gpu and "cuda" not in devices_of(content):
        told.append(f"No strategy was measured on a GPU, so the price of {prices.gpu} is in no figure.")
    return told


def devices_of(content: ReportContent) -> frozenset[str]:
    """Say on what strategies ran; those whose costs somebody states run nowhere."""
    return frozenset(
        part.device
        for item in content.evaluations
        for part in item.members or (item,)
        if part.stated is None or part.stated.usd_per_request is None
    )


def _how_paid(prices: PriceConfig, devices: frozenset[str]) -> str:
    hosted = " Models at a provider are paid by the token." if "hosted" in devices else ""
    if prices.billing is Billing.SERVERLESS:
        return (
            "Requests are paid by the second of use, without idle machines. Left out: cold starts, which load the "
            f"model again after a pause, the time a machine waits before it stops, and fees per request.{hosted}"
        )
    return (
        f"Requests are paid as whole machines for all {HOURS_PER_MONTH} hours of a month: as many as carry the peak, "
        f"at least one, also where no GPU is needed.{hosted}"
    )


def _machine(device: str, prices: PriceConfig) -> Basis:
    serverless = prices.billing is Billing.SERVERLESS
    kind = "CPU machine" if device == "cpu" else "GPU machine"
    fields = {
        ("cpu", False): (prices.cpu, DEFAULT_CPU, "usd_per_cpu_hour", "prices.cpu"),
        ("cuda", False): (prices.gpu, DEFAULT_GPU, "usd_per_gpu_hour", "--gpu"),
        ("cpu", True): (prices.serverless_cpu, DEFAULT_SERVERLESS_CPU, "usd_per_cpu_second", "prices.serverless_cpu"),
        ("cuda", True): (prices.serverless_gpu, DEFAULT_SERVERLESS_GPU, "usd_per_gpu_second", "prices.serverless_gpu"),
    }
    named, default, field, setting = fields[device, serverless]
    usd = f"{wording.price(getattr(prices, field))} per {'second of use' if serverless else 'hour'}"
    assumed = prices.is_assumed(field)
    entry = _entry(named or (default if assumed else None), getattr(prices, field), prices, serverless=serverless)
    if entry is None:
        return Basis(kind, f"{named}, {usd}" if named else usd, setting, assumed)
    name, price, region = entry
    where = f", {region}" if region else ""
    read = f"list price of {price.as_of.day} {price.as_of:%B %Y}"
    return Basis(kind, f"{name} ({price.what}{where}), {usd}, {read}", setting, assumed, price.source)


def _entry(
    named: str | None, usd: float, prices: PriceConfig, *, serverless: bool
) -> tuple[str, Dated, str | None] | None:
    """Look up what the own table says of a machine, where the price is still the one that it says."""
    if named is None or prices.table is not None:
        return None
    table = read_table()
    name = named if serverless else table.machine_name(named)
    machine, second = table.machines.get(name), table.serverless.get(name)
    if not serverless and machine is not None and machine.usd_per_hour == usd:
        return name, machine, machine.region
    if serverless and second is not None and second.usd_per_second == usd:
        return name, second, second.region
    return None

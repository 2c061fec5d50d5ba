"""What `llmtl doctor` prints: devices, memory, engines, versions, models by name, and the command that fixes each gap.

Not covered: finding them (`llmtl.hardware`).
"""

from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from llmtl.checkpoints.locate import Availability
from llmtl.hardware import Gap, Hardware


def print_doctor(hardware: Hardware, found: tuple[Gap, ...], console: Console) -> None:
    """Print what was found, then each gap with its command."""
    _print_machine(hardware, console)
    _print_engines(hardware, console)
    _print_versions(hardware, console)
    if not found:
        console.print("Nothing is missing.")
    for gap in found:
        console.print(f"Gap: {escape(gap.what)}. {escape(gap.consequence.capitalize())}.", soft_wrap=True)
        console.print(f"  fix it: {escape(gap.command)}", soft_wrap=True)


def print_models(found: tuple[Availability, ...], cache: Path, console: Console) -> None:
    """Print where each model that is known by name would come from, and where converted models are kept."""
    table = Table(title="Models by name", title_justify="left")
    table.add_column("name", overflow="fold")
    table.add_column("licence", no_wrap=True)
    table.add_column("from")
    for each in found:
        model = each.model
        table.add_row(f"{model.name} ({model.hub})", model.licence, each.there or "the Hub, on first use")
    console.print(table)
    for each in found:
        if not each.there:
            console.print(f"Without the Hub, {each.model.name} needs: {escape(each.model.install)}", soft_wrap=True)
    console.print(f"Cache folder: {escape(str(cache))} (LLMTL_CACHE sets another)", soft_wrap=True)


def _print_machine(hardware: Hardware, console: Console) -> None:
    table = Table(title="Machine", title_justify="left", show_header=False)
    table.add_row("system", hardware.system)
    table.add_row("Python", hardware.python)
    table.add_row("CPU", f"{hardware.cpu_cores} cores, {_bf16(hardware.cpu_bf16)}")
    table.add_row("memory", f"{hardware.ram_free_gib:.1f} GiB free of {hardware.ram_total_gib:.1f}")
    for gpu in hardware.gpus:
        memory = f"{gpu.free_gib:.1f} GiB free of {gpu.total_gib:.1f}"
        table.add_row("GPU", f"{escape(gpu.name)}, {memory}, {_bf16(gpu.bf16)}")
    if not hardware.gpus:
        table.add_row("GPU", "none; small models run on the CPU")
    console.print(table)


def _bf16(has: bool) -> str:
    return "bf16" if has else "no bf16"


def _print_engines(hardware: Hardware, console: Console) -> None:
    table = Table("engine", "version", "runs", "why not", title="Engines", title_justify="left")
    for engine in hardware.engines:
        table.add_row(engine.name, engine.version or "-", "yes" if engine.runs else "no", escape(engine.why_not or ""))
    console.print(table)


def _print_versions(hardware: Hardware, console: Console) -> None:
    table = Table(title="Packages", title_justify="left", show_header=False)
    for name, version in hardware.packages.items():
        table.add_row(name, version or "not installed")
    console.print(table)

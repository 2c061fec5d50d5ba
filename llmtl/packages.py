"""Packages that come with an extra: looked for before work is spent; a missing one is one line with the cure.

Not covered: versions (`llmtl doctor`).
"""

from importlib.util import find_spec

from llmtl.errors import MissingPackageError

LOCAL = ("torch", "transformers", "accelerate", "tokenizers", "xgrammar")
"""What running a language model on this machine takes."""
TUNING = ("peft", "trl", "bitsandbytes", *LOCAL)
"""What fine-tuning takes; its own packages first, since their extra brings the others."""
EXTRAS = {
    **dict.fromkeys(TUNING, "'llmtl[tuning]'"),
    **dict.fromkeys(LOCAL, "'llmtl[local]'"),
    "gguf": "'llmtl[gguf]'",
    "openpyxl": "'llmtl[excel]'",
    "cryptography": "'llmtl[signing]'",
    "gradio": "'llmtl[playground]'",
    "sentence_transformers": "'llmtl[embeddings]'",
    **dict.fromkeys(("onnx", "onnxruntime"), "'llmtl[onnx]'"),
    "vllm": "'llmtl[gpu]' (without a GPU: 'llmtl[cpu]')",
}
"""What pip installs for each module that plain llmtl does without."""


def require(purpose: str, *modules: str) -> None:
    """Raise `MissingPackageError` for the first module that is not installed; `purpose` begins the sentence."""
    for module in modules:
        if find_spec(module) is None:
            raise missing(purpose, module)


def missing(purpose: str, module: str) -> MissingPackageError:
    """Return the error that names the module and the command that installs it."""
    name = module.replace("_", "-")
    return MissingPackageError(f"{purpose} needs {name}; install it with: pip install {EXTRAS[module]}")

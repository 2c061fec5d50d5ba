"""Real finished runs of the embedded models with every strategy measured, and their bundles, made once a session."""

from collections.abc import Callable
from pathlib import Path

import pytest

import llmtl
from llmtl.seals import SEAL, STEPS
from llmtl.store import read_json, write_json
from tests.support.front_desk import make_run
from tests.support.made_once import made_once

BundleOf = Callable[..., Path]
"""Call it with a run, a strategy (None for the winner) and `merge`; it returns the bundle's folder, which is shared."""


def unsealed(folder: Path) -> None:
    """Make a run one of an earlier version, which had no seals, so that a test may change what it holds."""
    for seal in (folder / SEAL, folder / "data" / SEAL, *folder.glob(f"{STEPS}/*/{SEAL}")):
        seal.unlink()
    index = read_json(folder / "index.json")
    write_json(folder / "index.json", index | {"sealed": False})


def _front_desk(tmp_path_factory: pytest.TempPathFactory, model: str) -> llmtl.Run:
    folder = made_once(tmp_path_factory, ("front desk", model), lambda folder: make_run(folder, model))
    return llmtl.load_run(folder / "run")


@pytest.fixture(scope="session")
def llama_run(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    """Return a run of pocket-llama in which every strategy was measured."""
    return _front_desk(tmp_path_factory, "pocket-llama")


@pytest.fixture(scope="session")
def mistral_run(tmp_path_factory: pytest.TempPathFactory) -> llmtl.Run:
    """Return a run of pocket-mistral in which every strategy was measured."""
    return _front_desk(tmp_path_factory, "pocket-mistral")


@pytest.fixture(scope="session")
def bundle_of(tmp_path_factory: pytest.TempPathFactory) -> BundleOf:
    """Return a function to the bundle of a run's strategy, exported once a session; copy it before changing it."""
    from llmtl.pipeline.export import export

    made: dict[tuple[Path, str, bool], Path] = {}

    def bundle(run: llmtl.Run, strategy: str | None = None, *, merge: bool = False) -> Path:
        key = (run.folder, strategy or run.decision.winner, merge)
        if key not in made:
            folder = tmp_path_factory.mktemp("bundle") / "bundle"
            made[key] = export(run, folder, strategy=strategy, merge=merge)
        return made[key]

    return bundle

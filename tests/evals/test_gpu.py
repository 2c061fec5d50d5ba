"""The script for a GPU machine runs here on tiny shapes, and what is packed for it is shrunk without loss."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(FOLDER / "gpu")
    from llmtl.tuning import training

    monkeypatch.setattr(training, "SHARING_PARAMETERS", training.SHARING_PARAMETERS)  # the script changes it
    import measure

    yield measure
    for name in ("measure", "pack", "shapes", "written_results"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("shape", ["tiny-llama", "tiny-mistral"])
def test_each_part_of_a_shape_measures_something(gpu: ModuleType, tmp_path: Path, shape: str):
    assert gpu.write_checkpoint(shape, tmp_path, device="cpu") > 2_000_000
    work = gpu.Work(batch=4, steps=2, prompts=6)
    shared, whole = gpu.tune(tmp_path, work), gpu.tune(tmp_path, work, shared=False)
    assert shared["tokens_per_example"] == whole["tokens_per_example"] > 50
    assert shared["tokens_per_second"] > 0 < whole["tokens_per_second"]
    assert gpu.tune(tmp_path, work, four_bits=False)["at_once"] == 4
    full = gpu.PARTS["full"](tmp_path, work)
    assert full["at_once"] == 4
    assert full["forecast_gib"] > shared["forecast_gib"]  # gradients and moments of all weights
    scored = gpu.score(tmp_path, work)
    assert scored["labels"] == 6
    assert scored["prompt_tokens_computed"] < 0.9  # the instruction and the labels come from the prefix


def test_formats_are_compared_on_the_pocket_model(gpu: ModuleType):
    compared = gpu.agree(gpu.resolve("pocket-llama"), gpu.Work(prompts=12))
    assert compared["examples"] == 12 >= compared["same_labels"] > 6


def test_a_part_that_fails_says_why(gpu: ModuleType, tmp_path: Path):
    assert gpu._in_process([], ends=0) == {"failed": "no time was left"}


def test_a_wheel_keeps_one_library_and_everything_else(gpu: ModuleType, tmp_path: Path):
    import pack

    wheel = tmp_path / "bitsandbytes-0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        for name in ("bitsandbytes/__init__.py", "bitsandbytes/libbitsandbytes_cuda130.so", "bitsandbytes/old.so"):
            file.writestr(name, name)
    pack.shrink(wheel, keep=["libbitsandbytes_cuda130.so"])
    with zipfile.ZipFile(wheel) as file:
        assert file.namelist() == ["bitsandbytes/__init__.py", "bitsandbytes/libbitsandbytes_cuda130.so"]
        assert file.read("bitsandbytes/__init__.py") == b"bitsandbytes/__init__.py"
    assert list(tmp_path.iterdir()) == [wheel]

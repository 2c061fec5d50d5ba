"""Seals: what changed by accident is found, whichever bit it was."""

import random
import subprocess
from pathlib import Path

import pytest

from llmtl.errors import DamagedRunError
from llmtl.seals import REPLIES, SEAL, check_content, damage, read_seal, seal_of
from llmtl.store import Store, read_json, write_json


def sealed(folder: Path) -> Path:
    (folder / "weights").mkdir(parents=True)
    write_json(folder / "result.json", {"score": 0.912})
    (folder / "weights" / "model.bin").write_bytes(random.Random(0).randbytes(500))
    (folder / REPLIES).write_text("grows\n")
    (folder / SEAL).write_text(seal_of(folder))
    return folder


def test_a_seal_is_what_sha256sum_reads(tmp_path: Path):
    folder = sealed(tmp_path / "step")
    subprocess.run(["sha256sum", "--check", "--quiet", SEAL], cwd=folder, check=True)
    assert sorted(read_seal(folder) or ()) == ["result.json", "weights/model.bin"]


@pytest.mark.parametrize("name", ["result.json", "weights/model.bin", SEAL])
def test_every_flipped_bit_is_found(tmp_path: Path, name: str):
    path = sealed(tmp_path / "step") / name
    before, chance = path.read_bytes(), random.Random(1)
    for bit in chance.sample(range(8 * len(before)), min(200, 8 * len(before))):
        flipped = bytearray(before)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert damage(tmp_path / "step") is not None, bit
    path.write_bytes(before)
    assert damage(tmp_path / "step") is None


def test_missing_and_changed_files_are_damage_and_grown_ones_are_not(tmp_path: Path):
    folder = sealed(tmp_path / "step")
    (folder / REPLIES).write_text("grows\nand grows\n")
    assert damage(folder) is None
    (folder / "weights" / "model.bin").unlink()
    assert damage(folder) == folder / "weights" / "model.bin"
    (folder / "result.json").write_text('{"score": 0.913}')
    with pytest.raises(DamagedRunError, match=r"result.json' is damaged"):
        read_json(folder / "result.json")


def test_without_a_seal_everything_is_read_as_it_is(tmp_path: Path):
    write_json(tmp_path / "result.json", 1)
    check_content(tmp_path / "result.json", b"2")
    assert damage(tmp_path) is None


def test_a_damaged_step_is_told_and_done_again(tmp_path: Path):
    def compute(folder: Path) -> int:
        (folder / "weights.bin").write_bytes(b"right")
        return 7

    assert Store(tmp_path).step("fit", {}, compute) == 7
    folder = Store(tmp_path).step_folder("fit", {})
    (folder / "weights.bin").write_bytes(b"wrong")
    told: list[str] = []
    assert Store(tmp_path, told.append).step("fit", {}, compute) == 7
    assert [("weights.bin" in line, "done again" in line) for line in told] == [(True, True)]
    assert (folder / "weights.bin").read_bytes() == b"right"
    assert damage(folder) is None


def test_a_step_that_cannot_be_read_is_done_again_even_without_a_seal(tmp_path: Path):
    store = Store(tmp_path)
    store.step("fit", {}, lambda folder: {"score": 1})
    folder = store.step_folder("fit", {})
    (folder / SEAL).unlink()
    (folder / "result.json").write_text('{"score"')
    assert not Store(tmp_path).has("fit", {})


def test_what_a_killed_attempt_left_is_gone_but_for_replies(tmp_path: Path):
    store = Store(tmp_path)
    folder = store.step_folder("fit", {})
    folder.mkdir(parents=True)
    (folder / "half.bin").write_bytes(b"1")
    (folder / REPLIES).write_text("paid\n")
    store.step("fit", {}, lambda folder: 1)
    assert sorted(path.name for path in folder.iterdir()) == [SEAL, "depends_on.json", REPLIES, "result.json"]

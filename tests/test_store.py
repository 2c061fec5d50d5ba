"""The run folder."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmtl.errors import RunError
from llmtl.seals import UNFINISHED
from llmtl.store import Store, digest, read_json, read_json_lines, write_json, write_json_lines, write_text


def test_a_step_is_computed_once_for_what_it_depends_on(tmp_path: Path):
    store, calls = Store(tmp_path), []

    def compute(folder: Path) -> dict[str, int]:
        calls.append(folder)
        (folder / "weights.bin").write_bytes(b"1")
        return {"value": len(calls)}

    assert store.step("fit", {"seed": 1}, compute) == {"value": 1}
    assert store.step("fit", {"seed": 1}, compute) == {"value": 1}
    assert store.step("fit", {"seed": 2}, compute) == {"value": 2}
    assert len(calls) == 2
    assert calls[0] != calls[1]
    assert store.has("fit", {"seed": 2})
    assert not store.has("fit", {"seed": 3})


def test_an_interrupted_step_is_computed_again(tmp_path: Path):
    store = Store(tmp_path)

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.step("fit", {}, interrupted)
    assert not store.has("fit", {})
    assert store.step("fit", {}, lambda folder: 7) == 7


def test_a_killed_step_keeps_what_it_can_go_on_from_until_it_is_finished(tmp_path: Path):
    store = Store(tmp_path)

    def killed(folder: Path) -> None:
        write_text(folder / UNFINISHED / "half", "of it")
        write_text(folder / "other", "of it")
        raise KeyboardInterrupt

    def gone_on(folder: Path) -> list[str]:
        assert (folder / UNFINISHED / "half").read_text() == "of it"
        return [path.name for path in folder.iterdir()]

    with pytest.raises(KeyboardInterrupt):
        store.step("fit", {}, killed)
    assert store.step("fit", {}, gone_on) == [UNFINISHED]
    assert not (store.step_folder("fit", {}) / UNFINISHED).exists()


def test_the_digest_ignores_key_order_and_sees_every_value():
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_a_failed_write_leaves_the_old_content_and_no_other_file(tmp_path: Path):
    path = tmp_path / "decision.json"
    write_json(path, {"verdict": "adopt"})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"value": float("nan")})
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "\ud800")
    assert json.loads(path.read_text()) == {"verdict": "adopt"}
    assert [item.name for item in tmp_path.iterdir()] == ["decision.json"]


def test_json_lines_round_trip_and_damage_is_named(tmp_path: Path):
    path = tmp_path / "rows.jsonl"
    rows = [{"text": "a\u2028b"}, {"text": "é\n"}]
    write_json_lines(path, rows)
    assert read_json_lines(path) == rows
    path.write_text('{"a": 1\n')
    with pytest.raises(RunError, match="damaged"):
        read_json_lines(path)
    with pytest.raises(RunError, match="missing"):
        read_json(tmp_path / "none.json")


def test_only_one_process_at_a_time_writes_a_folder(tmp_path: Path):
    hold = "import sys; from pathlib import Path; from llmtl.store import Store\nwith Store(Path(sys.argv[1])).claimed(): print(1, flush=True); sys.stdin.read()"  # noqa: E501
    command = [sys.executable, "-c", hold, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"1\n"
        with pytest.raises(RunError, match="Another run is writing"), Store(tmp_path).claimed():
            pass
        other.kill()
    with Store(tmp_path).claimed():  # killed, it holds nothing
        assert (tmp_path / "steps").is_dir()


def test_a_folder_that_cannot_be_made(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be written"), Store(tmp_path / "file" / "run").claimed():
        pass


def test_bytes_that_are_no_text_are_damage(tmp_path: Path):
    (tmp_path / "a.json").write_bytes(b"\xff\xfe")
    with pytest.raises(RunError, match="damaged"):
        read_json(tmp_path / "a.json")
    with pytest.raises(RunError, match="damaged"):
        read_json_lines(tmp_path / "a.json")


@pytest.mark.parametrize("how", ["moved", "deleted", "replaced"])
def test_a_folder_that_is_moved_while_it_is_written_ends_the_run_in_one_line(tmp_path: Path, how: str):
    store = Store(tmp_path / "run")

    def compute(folder: Path) -> int:
        if how == "deleted":
            shutil.rmtree(tmp_path / "run")
        else:
            (tmp_path / "run").rename(tmp_path / "elsewhere")
        if how == "replaced":
            shutil.copytree(tmp_path / "elsewhere", tmp_path / "run")
        return 1

    told = r"was moved or deleted while the run was writing to it; give the command again"
    assert store.step("fit", {"seed": 1}, lambda folder: 1) == 1
    with pytest.raises(RunError, match=told), store.claimed():
        store.step("fit", {"seed": 2}, compute)
    assert (tmp_path / "run").exists() == (how == "replaced")

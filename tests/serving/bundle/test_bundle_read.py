"""Opening a bundle: what is wrong with it is found, named, and fixed by a command."""

import shutil
from pathlib import Path

import pytest

from llmtl.errors import BundleError, ModelError
from llmtl.serving.bundle.manifest import CHAT_TEMPLATE, Bundle, Recorded, ServedStrategy, Weights
from llmtl.serving.bundle.read import (
    load_bundle_tokenizer,
    open_bundle,
    read_pool,
    read_recorded,
    require_bounded_wording,
)
from tests.support.small_bundle import small_bundle


@pytest.fixture
def copied(llama_run, bundle_of, tmp_path) -> Path:
    """Return a copy of an adapter bundle that a test may spoil."""
    return Path(shutil.copytree(bundle_of(llama_run, "qlora"), tmp_path / "copied"))


def append(path: Path, content: bytes = b" ") -> None:
    with path.open("ab") as file:
        file.write(content)


def test_a_moved_bundle_opens(copied, tmp_path, monkeypatch):
    moved = copied.rename(tmp_path / "moved")
    bundle = open_bundle(moved)
    assert isinstance(bundle, Bundle)
    assert isinstance(read_recorded(moved)[0], Recorded)
    monkeypatch.chdir(moved)
    assert open_bundle(".") == open_bundle(str(moved)) == bundle


@pytest.mark.parametrize(
    "name",
    [
        "bundle.json",
        "README.md",
        "adapter/adapter_model.safetensors",
        "model/model.safetensors",
        "model/tokenizer.json",
        "chat_template.jinja",
        "recorded.jsonl",
    ],
)
def test_a_changed_file_is_named(copied, name):
    append(copied / name)
    with pytest.raises(
        BundleError, match=f"The file '{name}' of the bundle .* was changed .*; export the bundle again"
    ):
        open_bundle(copied)
    assert open_bundle(copied, verify=False).task.name == "front-desk"


@pytest.mark.parametrize("name", ["adapter/adapter_model.safetensors", "vllm.yaml", "demonstrations.jsonl"])
def test_a_missing_file_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(BundleError, match=f"lacks '{name}'; export it again"):
        open_bundle(copied)


@pytest.mark.parametrize("name", ["model/extra.safetensors", "notes.txt"])
def test_a_file_that_the_export_did_not_write_is_named(copied, name):
    (copied / name).write_bytes(b"x")
    with pytest.raises(BundleError, match=f"holds '{name}', which the export did not write; remove it"):
        open_bundle(copied)


def test_what_serving_measures_and_what_a_desktop_leaves_are_no_matter(copied):
    for name in ("serving.json", ".DS_Store", "model/.goutputstream-X"):
        (copied / name).write_text("{}")
    (copied / "empty").mkdir()
    open_bundle(copied)


def test_a_link_to_outside_is_refused_even_if_the_file_is_the_same(copied, tmp_path):
    weights = copied / "model" / "model.safetensors"
    weights.rename(tmp_path / "elsewhere")
    weights.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BundleError, match=r"'model/model\.safetensors' is a link to outside the folder"):
        open_bundle(copied)
    (tmp_path / "elsewhere").rename(copied / "model" / "elsewhere.safetensors")
    weights.unlink()
    weights.symlink_to("elsewhere.safetensors")
    with pytest.raises(BundleError, match=r"holds 'model/elsewhere\.safetensors', which the export did not write"):
        open_bundle(copied)


def test_a_damaged_list_of_hashes(copied):
    sums = copied / "SHA256SUMS"
    for content in ("", "nonsense\n", "12  bundle.json\n"):
        sums.write_text(content)
        with pytest.raises(BundleError, match="SHA256SUMS' is damaged"):
            open_bundle(copied)
    sums.unlink()
    with pytest.raises(BundleError, match="lacks 'SHA256SUMS'"):
        open_bundle(copied)


def test_no_folder_and_no_bundle(copied, tmp_path):
    with pytest.raises(BundleError, match=r"There is no bundle at .*nowhere'; make one with `llmtl export"):
        open_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"is not a bundle: it has no bundle\.json"):
        open_bundle(copied / "model")


@pytest.mark.parametrize("content", ["", "{", '{"format": 1}', "[]", '{"format": 1, "winner": 3}'])
def test_a_damaged_manifest(copied, content):
    (copied / "bundle.json").write_text(content)
    with pytest.raises(BundleError, match="export"):
        open_bundle(copied, verify=False)


def test_what_cannot_be_read(copied, llama_run, bundle_of):
    (copied / "recorded.jsonl").write_text('{"id": 3}')
    with pytest.raises(BundleError, match=r"recorded\.jsonl' is missing or damaged"):
        read_recorded(copied)
    (copied / "recorded.jsonl").write_text("{")
    with pytest.raises(BundleError, match=r"recorded\.jsonl' is missing or damaged"):
        read_recorded(copied)
    (copied / "demonstrations.jsonl").unlink()
    assert read_pool(copied) == ()
    (copied / "model" / "tokenizer.json").write_text("{")
    with pytest.raises(
        BundleError, match=r"tokenizer in .* cannot be loaded \(Expecting .*\); export the bundle again"
    ):
        load_bundle_tokenizer(open_bundle(copied, verify=False), copied)
    classifier = bundle_of(llama_run, "majority")
    with pytest.raises(BundleError, match="prompts no language model and has no tokenizer"):
        load_bundle_tokenizer(open_bundle(classifier), classifier)


def test_wording_that_never_ends_is_refused_where_vllm_would_fill_it_in(tmp_path):
    (tmp_path / CHAT_TEMPLATE).write_text("{{ messages[0].content }}")
    require_bounded_wording(small_bundle(), tmp_path)
    (tmp_path / CHAT_TEMPLATE).write_text("{{ 'a' * 10 ** 11 }}")
    with pytest.raises(ModelError, match="chat template takes more than"):
        require_bounded_wording(small_bundle(), tmp_path)
    here = ServedStrategy("tfidf", "tickets", "tickets", Weights.CLASSIFIER)
    require_bounded_wording(small_bundle(winner=here, others=(), base=None), tmp_path)  # nobody fills it in
    (tmp_path / CHAT_TEMPLATE).unlink()
    require_bounded_wording(small_bundle(), tmp_path)

import json

import datasets
import pytest

from llmtl.data import DataConfig, load_examples
from llmtl.data.hub import read_hub
from llmtl.errors import DataError


@pytest.fixture
def hub_folder(tmp_path, monkeypatch):
    """Return the name of a data set that the real `datasets` loads from the working folder instead of the Hub."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "acme" / "tickets"
    folder.mkdir(parents=True)
    for split, texts in (("train", ["a b", "c d", "e f"]), ("test", ["g h"])):
        rows = [{"text": text, "label": position % 2} for position, text in enumerate(texts)]
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    card = (
        "---\ndataset_info:\n  features:\n  - name: text\n    dtype: string\n  - name: label\n    dtype:\n"
        "      class_label:\n        names:\n          '0': refund\n          '1': card lost\n---\n"
    )
    (folder / "README.md").write_text(card)
    return "acme/tickets"


def test_a_data_set_is_read_with_class_names(hub_folder):
    table = read_hub(hub_folder)
    assert [row.values["label"] for row in table.rows] == ["refund", "card lost", "refund"]
    assert table.columns == ("text", "label")
    assert [row.values["text"] for row in read_hub(f"{hub_folder}:test").rows] == ["g h"]


def test_an_unknown_split_is_one_line(hub_folder):
    with pytest.raises(DataError, match="Unknown split"):
        read_hub(f"{hub_folder}:validation")


def test_an_unreachable_hub_is_one_line(monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match="neither a file here nor a data set") as caught:
        load_examples(DataConfig(path="acme/no-such-data"))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2

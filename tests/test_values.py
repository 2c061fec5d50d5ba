"""An input is a text or an image: it is split, fingerprinted, kept and read back; a strategy for texts refuses it."""

import base64
import hashlib
import json

import pytest
from pydantic import TypeAdapter, ValidationError

from llmtl.data.config import DataConfig
from llmtl.data.examples import Cleaning, LoadedData
from llmtl.data.splitting import split_examples
from llmtl.data.table import fingerprint
from llmtl.errors import InputError, MissingFileError
from llmtl.store import read_json_lines, write_json_lines
from llmtl.strategies.nearest import Nearest
from llmtl.values import Example, Image

KEPT = TypeAdapter(tuple[Example, ...])
PIXELS = b"\x89PNG\r\n\x1a\n"


def pictures(folder, count=20):
    """Write files with different bytes and return examples of them, every other one with the bytes inside."""
    examples = []
    for number in range(count):
        data = PIXELS + bytes([number])
        path = folder / f"{number}.png"
        path.write_bytes(data)
        image = Image("image/png", path=str(path)) if number % 2 else Image("image/png", data=data)
        examples.append(Example(str(number), image, "cat" if number % 4 < 2 else "dog"))
    return tuple(examples)


def test_images_are_split_kept_and_read_back(tmp_path):
    examples = pictures(tmp_path)
    loaded = LoadedData(examples, None, ("cat", "dog"), Cleaning(len(examples)))
    split = split_examples(loaded, DataConfig(path="x.csv", text="t", label="l"), seed=0)
    parts = (split.train, split.dev, split.test)
    assert sorted(each.id for part in parts for each in part) == sorted(each.id for each in examples)
    assert {each.reference for each in split.train} == {"cat", "dog"}
    write_json_lines(tmp_path / "train.jsonl", list(KEPT.dump_python(split.train, mode="json")))
    assert KEPT.validate_python(read_json_lines(tmp_path / "train.jsonl")) == split.train
    assert fingerprint(split.train) == fingerprint(reversed(split.train)) != fingerprint(split.train[1:])


def test_a_fingerprint_goes_by_the_bytes_wherever_they_lie(tmp_path):
    _, there = pictures(tmp_path, 2)
    inside = Example("0", Image("image/png", data=there.input.read()), there.reference)
    assert fingerprint([there]) == fingerprint([inside])
    assert there.input.sha256 == hashlib.sha256(PIXELS + b"\1").hexdigest()


def test_rows_of_texts_are_written_as_before_and_those_of_images_say_so():
    text, image = Example("1", "hi", "a", ("b",)), Example("2", Image("image/png", data=PIXELS), "a")
    rows = KEPT.dump_python((text, image), mode="json")
    assert list(rows[0].items()) == [
        ("id", "1"),
        ("text", "hi"),
        ("reference", "a"),
        ("alternatives", ["b"]),
        ("group", None),
    ]
    assert rows[1]["image"] == {"media_type": "image/png", "base64": base64.b64encode(PIXELS).decode()}
    assert fingerprint([text]) == hashlib.sha256(json.dumps(["hi", "a", ["b"], None]).encode()).hexdigest()


@pytest.mark.parametrize(
    "row", [{}, {"text": "a", "image": {"media_type": "x", "path": "y"}}, {"image": {"path": "y"}}]
)
def test_a_row_without_one_input_is_refused(row):
    with pytest.raises(ValidationError):
        KEPT.validate_python([{"id": "1", "reference": "a"} | row])


def test_an_image_is_read_when_it_is_asked_for():
    image = Image("image/png", path="nowhere.png")
    with pytest.raises(MissingFileError, match=r"The image 'nowhere\.png' cannot be read"):
        image.read()
    with pytest.raises(InputError, match="give one of them"):
        Image("image/png")


def test_a_strategy_for_texts_refuses_an_image_in_one_line(tmp_path, make_plain_context):
    (example,) = pictures(tmp_path, 1)
    with pytest.raises(InputError, match=r"^'image \w{12}' is an image, and this strategy reads texts; [^\n]*$"):
        _ = example.text
    predictor = Nearest().fit(make_plain_context()).predictor
    with pytest.raises(InputError, match="is an image, and this strategy reads texts"):
        predictor.predict([example.input])

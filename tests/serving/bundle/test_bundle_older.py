"""Bundles that an earlier version wrote (format 1) still open, and answer as was recorded in them."""

import json

import pytest
from starlette.testclient import TestClient

from llmtl.errors import BundleError
from llmtl.serving.bundle.manifest import FORMAT
from llmtl.serving.bundle.read import open_bundle, read_recorded
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.task_api.classifier_app import create_app
from tests.support.kept_bundles import LOCAL, kept_bundles


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """Return a folder with one bundle per name."""
    return kept_bundles(tmp_path_factory.mktemp("bundles"))


@pytest.mark.parametrize("name", LOCAL)
def test_they_answer_as_recorded(name, bundles):
    folder = bundles / name
    bundle, recorded = open_bundle(folder), read_recorded(folder)
    assert bundle.format == 1
    with TestClient(create_app(folder, environment={})) as client:
        rows = client.post("/v1/predict", json={"inputs": [row.text for row in recorded]}).json()["data"]
    reading = reading_of(bundle, folder)
    answers = [reading.row(row) for row in rows]
    assert answers == [row.prediction for row in recorded]
    if bundle.output.form == "label":
        for row, then in zip(rows, recorded, strict=True):
            assert row["probabilities"] == pytest.approx(then.probabilities, abs=1e-6)


def test_a_hosted_winner_of_an_earlier_version_opens(bundles):
    with TestClient(create_app(bundles / "hosted", environment={})) as client:
        assert client.get("/v1/task").json()["strategy"] == "hosted"


def test_a_newer_format_is_refused(tmp_path):
    told = {"format": FORMAT + 1, "winner": {}}
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "bundle.json").write_text(json.dumps(told))
    readable = f"1, 2, 3, 4, 5 and {FORMAT}"
    with pytest.raises(BundleError, match=f"has format {FORMAT + 1}, and this version of llmtl reads {readable};"):
        open_bundle(tmp_path / "bundle")

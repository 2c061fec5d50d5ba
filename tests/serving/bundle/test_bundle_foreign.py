"""A bundle from elsewhere, whose maker wrote the hashes anew: it runs no code, reaches no file, adds no option."""

import json
import os
from pathlib import Path

import pytest
import yaml

from llmtl.errors import BundleError, HostedError
from llmtl.pipeline.serve import find_target
from llmtl.progress import Silent
from llmtl.serving.bundle.hashes import write_hashes
from llmtl.serving.bundle.manifest import BUNDLE, BaseModel, HeldEncoder
from llmtl.serving.bundle.provider import read_hosted, require_meant
from llmtl.serving.bundle.read import is_bundle, open_bundle
from llmtl.serving.bundle.vllm_config import vllm_arguments, vllm_yaml
from llmtl.store import write_json
from tests.support.small_bundle import small_bundle

HUB = BaseModel("big", "me/big", hub=True, revision="ab12", licence="", context_length=512, dtype="float32")


def written(folder: Path, bundle) -> Path:
    """Return `folder` with what an export writes, weights and texts left out."""
    for name in ("model", "adapter", "encoder", "classifier"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    write_json(folder / "bundle.json", BUNDLE.dump_python(bundle, mode="json"))
    for name in ("model/config.json", "encoder/config.json"):
        write_json(folder / name, {"model_type": "llama", "rope_scaling": {"type": "linear", "factor": 2.0}})
    write_json(folder / "model/tokenizer_config.json", {"tokenizer_file": None, "auto_map": None})
    write_json(folder / "adapter/adapter_config.json", {"auto_mapping": None, "megatron_core": "megatron.core"})
    write_json(folder / "classifier/classifier.json", {"vocabulary": {"auto_map": 1, "type": "a.b"}})
    for relative, name in ((False, "vllm.yaml"), (True, "vllm.here.yaml")):
        made = vllm_arguments(bundle, Path("/where/it/was/made"), relative=relative)
        (folder / name).write_text(vllm_yaml(made, note="by hand"))
    write_hashes(folder, Silent())
    return folder


@pytest.fixture
def bundle(tmp_path):
    return written(tmp_path / "bundle", small_bundle())


def changed(path: Path, **entries) -> None:
    write_json(path, json.loads(path.read_text()) | entries)


def based(path: Path, **entries) -> None:
    document = json.loads(path.read_text())
    write_json(path, document | {"base": document["base"] | entries})


def worded(path: Path, **entries) -> None:
    document = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(document | {key.replace("_", "-"): value for key, value in entries.items()}))


def file(path: Path, content: str = "{}") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


ATTACKS = {
    "an option as the base model's name": lambda at: based(at / "bundle.json", name="--trust-remote-code"),
    "an option as the task's name": lambda at: changed(
        at / "bundle.json", winner=json.loads((at / "bundle.json").read_text())["winner"] | {"engine_model": "-x"}
    ),
    "a line break in a name": lambda at: based(at / "bundle.json", name="a\nb"),
    "a base model elsewhere": lambda at: based(at / "bundle.json", source="../other"),
    "a base model by its full path": lambda at: based(at / "bundle.json", source="/etc"),
    "a folder called as a model on the Hub": lambda at: based(at / "bundle.json", hub=True, source="model"),
    "an option as a revision": lambda at: based(at / "bundle.json", hub=True, source="a/b", revision="-x"),
    "code": lambda at: file(at / "model" / "evil.py", "raise SystemExit"),
    "code called a licence": lambda at: file(at / "LICENSE.py", "raise SystemExit"),
    "code of a conversation": lambda at: file(at / "model" / "custom_generate" / "generate.py"),
    "pickled weights": lambda at: file(at / "model" / "pytorch_model.bin"),
    "a pickled adapter": lambda at: file(at / "adapter" / "adapter_model.bin"),
    "pickled arguments": lambda at: file(at / "model" / "training_args.PT"),
    "pickled arrays": lambda at: file(at / "classifier" / "weights.npy"),
    "a classifier of joblib": lambda at: file(at / "classifier" / "model.joblib"),
    "a file of no known kind": lambda at: file(at / "classifier" / "weights.xyz"),
    "settings of another program": lambda at: file(at / ".numba_config.yaml"),
    "hidden code": lambda at: file(at / ".hidden.py"),
    "a model's own code": lambda at: changed(at / "model" / "config.json", auto_map={"AutoConfig": "evil.Evil"}),
    "a part's own code": lambda at: changed(
        at / "model" / "config.json", vision_config={"parts": [{"auto_map": {"AutoConfig": "evil.Evil"}}]}
    ),
    "a tokenizer's own code": lambda at: changed(
        at / "model" / "tokenizer_config.json", auto_map={"AutoTokenizer": ["evil.Evil", None]}
    ),
    "a tokenizer elsewhere": lambda at: changed(at / "model" / "tokenizer_config.json", tokenizer_file="/etc/passwd"),
    "another model": lambda at: changed(
        at / "model" / "config.json", speculators_config={"verifier": {"name_or_path": "evil/model"}}
    ),
    "compiled code": lambda at: changed(at / "model" / "config.json", attn_implementation="evil/kernel:run"),
    "an adapter's library": lambda at: changed(
        at / "adapter" / "adapter_config.json", auto_mapping={"parent_library": "antigravity"}
    ),
    "an adapter's other library": lambda at: changed(
        at / "adapter" / "adapter_config.json", megatron_config={"x": 1}, megatron_core="antigravity"
    ),
    "a model that is an adapter of another": lambda at: file(at / "model" / "adapter_config.json"),
    "an encoder's library": lambda at: file(
        at / "encoder" / "modules.json", json.dumps([{"idx": 0, "path": "", "type": "antigravity.Fly"}])
    ),
    "an encoder's part elsewhere": lambda at: file(
        at / "encoder" / "modules.json",
        json.dumps([{"idx": 0, "path": "../..", "type": "sentence_transformers.models.Transformer"}]),
    ),
    "a router's library": lambda at: file(
        at / "encoder" / "router_config.json", json.dumps({"types": {"query": "antigravity.Fly"}})
    ),
    "an activation's library": lambda at: file(
        at / "encoder" / "2_Dense" / "config.json", json.dumps({"activation_function": "antigravity.fly"})
    ),
    "weights elsewhere": lambda at: file(
        at / "model" / "model.safetensors.index.json", json.dumps({"weight_map": {"a": "../../x.safetensors"}})
    ),
    "a graph in another place": lambda at: file(at / "encoder" / "model.onnx"),
    "a graph that is none": lambda at: file(at / "classifier" / "int8" / "encoder.onnx"),
    "an argument of vLLM": lambda at: worded(at / "vllm.yaml", trust_remote_code=True),
    "an open address": lambda at: worded(at / "vllm.yaml", host="0.0.0.0"),
    "another model for vLLM": lambda at: worded(at / "vllm.here.yaml", model="evil/model"),
    "pickled weights for vLLM": lambda at: worded(at / "vllm.here.yaml", load_format="pt"),
    "a middleware": lambda at: worded(at / "vllm.here.yaml", middleware="evil.Middleware"),
    "a bomb of aliases": lambda at: file(
        at / "vllm.yaml", "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{f'*a{n - 1}, ' * 9}]\n" for n in range(1, 20))
    ),
    "depth": lambda at: file(at / "model" / "config.json", "[" * 100_000 + "]" * 100_000),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_bundle_with_hashes_made_anew_is_refused_in_one_line(bundle, name):
    ATTACKS[name](bundle)
    write_hashes(bundle, Silent())
    for verify in (True, False):
        with pytest.raises(BundleError, match="do not serve it; ask whoever made it") as refused:
            open_bundle(bundle, verify=verify)
        assert "\n" not in str(refused.value) or name == "a line break in a name"


def test_links_to_outside_and_what_is_no_file_are_refused(bundle, tmp_path):
    file(tmp_path / "secret.txt")
    link = bundle / "model" / "vocab.txt"
    link.symlink_to(tmp_path / "secret.txt")
    with pytest.raises(BundleError, match=r"'model/vocab\.txt' is a link to outside the folder"):
        open_bundle(bundle)
    link.unlink()
    link.symlink_to(link.name)  # to itself
    with pytest.raises(BundleError, match=r"'model/vocab\.txt' is a link to outside the folder"):
        open_bundle(bundle)
    link.unlink()
    os.mkfifo(link)  # whoever hashes it waits for ever
    with pytest.raises(BundleError, match=r"'model/vocab\.txt' is neither a file nor a folder"):
        open_bundle(bundle)


@pytest.mark.parametrize("name", ["bundle.json", "SHA256SUMS", "labels.json"])
def test_a_pipe_in_place_of_a_file_is_not_waited_for(bundle, name):
    file(bundle / "labels.json")
    (bundle / name).unlink()
    os.mkfifo(bundle / name)
    assert is_bundle(bundle) == (name != "bundle.json")
    with pytest.raises(BundleError):
        find_target(bundle)


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/dev/zero", "a//b", "model/../../x", "a\\..\\b"])
def test_hashes_of_files_outside_are_refused(bundle, name):
    sums = bundle / "SHA256SUMS"
    sums.write_text(sums.read_text() + f"{'0' * 64}  {name}\n")
    with pytest.raises(BundleError, match="SHA256SUMS' is damaged"):
        open_bundle(bundle)


def test_what_an_export_writes_opens_wherever_it_is(tmp_path):
    for name, change in (
        ("local", {}),
        ("hub", {"base": HUB}),
        ("encoder", {"encoder": HeldEncoder("e", "mit")}),
    ):
        folder = written(tmp_path / name, small_bundle(**change))
        file(folder / "model" / "LICENSE-2.0.txt")
        file(folder / ".cache" / "huggingface" / ".gitignore", "*")
        (folder / ".gitattributes").write_text("")
        write_hashes(folder, Silent())
        assert open_bundle(folder) == open_bundle(folder.rename(tmp_path / f"{name}-moved"))


def hosted(folder: Path, **changes) -> Path:
    """Return `folder` with what a bundle says of a provider."""
    folder.mkdir()
    model = {"base_url": "https://evil.example/v1", "model": "m", "api_key_env": "OPENAI_API_KEY", "top_logprobs": 0}
    prices = {"prompt": 0.5, "cached": 0.5, "completion": 1.5}
    write_json(folder / "hosted.json", {"model": model | {"prices": prices} | changes, "usd_per_request": 0.1})
    return folder


def test_inputs_and_keys_go_to_an_address_of_a_bundle_only_if_that_is_meant(tmp_path):
    evil = read_hosted(hosted(tmp_path / "evil"), {})
    with pytest.raises(HostedError, match=r"every input and the key in OPENAI_API_KEY to https://evil\.example/v1; if"):
        require_meant(evil, {})
    require_meant(evil, {"LLMTL_PROVIDER_URL": "https://evil.example/v1"})
    require_meant(read_hosted(hosted(tmp_path / "usual", base_url="https://api.openai.com/v1"), {}), {})
    require_meant(read_hosted(hosted(tmp_path / "here", base_url="http://127.0.0.1:1/v1"), {}), {})
    other = read_hosted(hosted(tmp_path / "o", base_url="https://api.openai.com/v1", api_key_env="AWS_SECRET_KEY"), {})
    with pytest.raises(HostedError, match="the key in AWS_SECRET_KEY"):
        require_meant(other, {})

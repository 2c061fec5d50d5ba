"""The library itself: nothing in it unpickles, evaluates, starts a shell, or lets a checkpoint bring code along."""

import ast
from collections.abc import Iterator
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "llmtl"
UNSAFE = {
    "eval",
    "exec",
    "os.system",
    "os.popen",
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "yaml.safe_load",  # it takes aliases without bound: llmtl.json_and_yaml does not
    "shelve.open",
}
LOADERS = {"from_pretrained", "from_config", "SentenceTransformer"}
"""What transformers and sentence-transformers load with; adapters (Peft...) take no code and no such argument."""


def calls() -> Iterator[tuple[str, str, ast.Call]]:
    """Yield where each call of the library stands, what it calls, and the call."""
    for path in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                yield f"{path.relative_to(LIBRARY)}:{node.lineno}", ast.unparse(node.func), node


def test_nothing_unsafe_is_called():
    assert [(where, name) for where, name, _ in calls() if name in UNSAFE] == []


def test_every_loader_is_told_to_run_no_code_of_a_checkpoint():
    found = [
        (where, {each.arg: ast.unparse(each.value) for each in call.keywords})
        for where, name, call in calls()
        if name.rpartition(".")[2] in LOADERS
        and not name.startswith(("Peft", "cls."))
        and not where.startswith("pocket/pretrain.py")  # it makes a new model of llmtl's own configuration
    ]
    assert len(found) > 10
    assert [where for where, given in found if given.get("trust_remote_code") != "False"] == []


def test_arrays_are_read_without_pickles_and_programs_started_without_a_shell():
    for where, name, call in calls():
        given = {each.arg: ast.unparse(each.value) for each in call.keywords}
        assert name != "torch.load" or given.get("weights_only") == "True", where
        assert name != "np.load" or given.get("allow_pickle") == "False", where
        assert not name.startswith("subprocess.") or "shell" not in given, where
        assert name != "yaml.load" or given["Loader"] == "_BoundedLoader", where

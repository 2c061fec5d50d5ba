"""What strategies and models are called where people read of them: `Fine-tuning with QLoRA` for `qlora`.

Not covered: commands, recipes and `decision.json`, which keep the names of the table (`llmtl.strategies.table`).
"""

from llmtl.checkpoints.named import EMBEDDED_NAMES, NAMED
from llmtl.findings import CASCADE_JOINT
from llmtl.strategies.table import STRATEGIES, facts_of

_CODES = {each.facts.title: name for name, each in STRATEGIES.items() if each.facts.title}


def title(name: str) -> str:
    """Return the human name of a strategy, of a cascade both members' names; `name` itself where it has none."""
    first, joint, then = name.partition(CASCADE_JOINT)
    if joint and facts_of(first) and facts_of(then):
        return f"{title(first)}, then {title(then)}"
    facts = facts_of(name)
    return (facts.title if facts else "") or name


def code(said: str) -> str:
    """Return the name of the table for a title, where a title has no room: `tfidf-else-setfit`; else what was given."""
    first, joint, then = said.partition(", then ")
    if joint and first in _CODES and then in _CODES:
        return f"{_CODES[first]}{CASCADE_JOINT}{_CODES[then]}"
    return _CODES.get(said, said)


def model_title(model: str) -> str:
    """Return a model's name without owner or folder: `SmolLM2-135M-Instruct` for `smollm2`."""
    if model in EMBEDDED_NAMES:
        return f"the toy model {model}"
    hub = next((item.hub for item in NAMED if item.name == model), model)
    return hub.rstrip("/").rsplit("/", 1)[-1].removesuffix(".gguf")


def advice(name: str, model: str = "") -> str:
    """Say what to do to use a strategy, in the imperative and without a full stop: `Fine-tune Qwen3-0.6B (QLoRA)`."""
    first, joint, then = name.partition(CASCADE_JOINT)
    if joint and facts_of(first) and facts_of(then):
        return f"Use {title(first)} where it is sure, and {title(then)} otherwise"
    facts = facts_of(name)
    said = facts.advice if facts else ""
    return said.replace("{model}", model_title(model) or "the model") if said else f"Use {title(name)}"

"""Trained weights, optimizer, schedule and random states as plain data: tensors in safetensors, the rest in JSON.

transformers would pickle them, and a run folder holds nothing that is unpickled. Not covered: gradient scalers, which
only float16 needs; several devices.
"""

import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from llmtl.store import read_json, write_json

WEIGHTS = "trained.safetensors"
_TENSORS, _VALUES = "states.safetensors", "states.json"


def trained(model: Any) -> list[tuple[str, torch.Tensor]]:
    """List the weights of a model that are trained, by name."""
    return [(name, each.detach()) for name, each in model.named_parameters() if each.requires_grad]


def put_back(model: Any, weights: Mapping[str, torch.Tensor]) -> None:
    """Copy weights into the model's own tensors, which an optimizer may hold."""
    with torch.no_grad():
        for name, weight in trained(model):
            weight.copy_(weights[name])


def write_weights(weights: Iterable[tuple[str, torch.Tensor]], path: Path) -> None:
    """Write weights by name to a file."""
    save_file({name: each.contiguous() for name, each in weights}, path)


def write_states(folder: Path, *, optimizer: Any, schedule: Any = None) -> None:
    """Write the states of an optimizer, of its schedule if any, and of the random generators of this process."""
    tensors: dict[str, torch.Tensor] = {"random": torch.get_rng_state()}
    if torch.cuda.is_available():
        tensors["random on the GPU"] = torch.cuda.get_rng_state()
    whole = optimizer.state_dict()
    values: dict[str, dict[str, Any]] = {}
    for number, state in whole["state"].items():
        values[str(number)] = {name: each for name, each in state.items() if not isinstance(each, torch.Tensor)}
        tensors |= {
            f"{number}/{name}": each.detach().cpu().contiguous()
            for name, each in state.items()
            if isinstance(each, torch.Tensor)
        }
    kind, keys, *rest = np.random.get_state()
    save_file(tensors, folder / _TENSORS)
    write_json(
        folder / _VALUES,
        {
            "optimizer": {"values": values, "groups": whole["param_groups"]},
            "schedule": schedule.state_dict() if schedule is not None else {},
            "python": random.getstate(),
            "numpy": [kind, np.asarray(keys).tolist(), *rest],
        },
    )


def read_optimizer(folder: Path, *, optimizer: Any, schedule: Any = None) -> None:
    """Put the states of the optimizer and of its schedule, if any, back."""
    kept, values = load_file(folder / _TENSORS), read_json(folder / _VALUES)
    state: dict[int, dict[str, Any]] = {int(number): dict(own) for number, own in values["optimizer"]["values"].items()}
    for name, tensor in kept.items():
        number, slash, own = name.partition("/")
        if slash:
            state[int(number)][own] = tensor
    groups = [_with_tuples(group) for group in values["optimizer"]["groups"]]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    if schedule is not None:
        schedule.load_state_dict(values["schedule"])


def read_random(folder: Path) -> None:
    """Put the states of the random generators back."""
    kept, values = load_file(folder / _TENSORS), read_json(folder / _VALUES)
    version, numbers, gauss = values["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, *rest = values["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(kept["random"])
    if torch.cuda.is_available():
        torch.cuda.set_rng_state(kept["random on the GPU"])


def _with_tuples(group: Mapping[str, Any]) -> dict[str, Any]:
    """Turn pairs, such as AdamW's betas, back into tuples: JSON has lists only."""
    return {name: tuple(each) if isinstance(each, list) and name != "params" else each for name, each in group.items()}

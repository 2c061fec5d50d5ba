"""Rank models before anything is trained: how well the labels of train can be told apart by their frozen states.

Only examples of train are read, in the split that a run of the same data would make: test stays sealed. Averaging over
all layers follows the use of LogME for choosing encoders (Bassignana et al. 2022, "Evidence > Intuition",
arXiv:2210.11255, who take the last layer; a head may take any). Not covered: measuring anything (`llmtl.pipeline`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from llmtl.checkpoints.named import find_named
from llmtl.data import subsample
from llmtl.data.file_formats import is_table
from llmtl.encoders.checkpoint import inspect_encoder
from llmtl.encoders.encoder_source import EncoderSource
from llmtl.encoders.plain_body import load_body
from llmtl.engines import ModelSource
from llmtl.engines.checkpoint import inspect_checkpoint
from llmtl.engines.transformers.loading import load_model, load_tokenizer
from llmtl.errors import DataError, ModelError, RecipeError
from llmtl.hardware import inspect
from llmtl.heads.layer_changes import targets_of
from llmtl.kinds.kind import AnswerShape
from llmtl.layers.mean_states import MOST_TOKENS, Floats, mean_states
from llmtl.layers.separability import Separability, separability
from llmtl.packages import LOCAL, require
from llmtl.pipeline.models import located
from llmtl.pipeline.run_data import read_data
from llmtl.pocket import resolve
from llmtl.progress import Advance, Progress, unwatched
from llmtl.quiet import own_randomness, quiet
from llmtl.settings import Recipe, load_recipe, recipe_for_data
from llmtl.task import Example, Task

MOST_EXAMPLES = 400
"""Training examples that are read by default: a small model on a CPU reads so many short texts in seconds."""


@dataclass(frozen=True)
class RankedModel:
    """A model with the separability of each of its layers, the embeddings first, and the seconds that took."""

    name: str
    layers: tuple[Separability, ...]
    width: int
    seconds: float

    @property
    def logme(self) -> float:
        """LogME, the mean over all layers but the embeddings."""
        return float(np.mean([each.logme for each in self.layers[1:]]))

    @property
    def h_score(self) -> float:
        """The regularised H-score, the mean over all layers but the embeddings."""
        return float(np.mean([each.h_score for each in self.layers[1:]]))

    @property
    def best_layer(self) -> int:
        """The layer with the highest LogME, counted from 1; the embeddings are 0."""
        return max(range(len(self.layers)), key=lambda at: self.layers[at].logme)


@dataclass(frozen=True)
class ModelRanking:
    """Models by falling LogME, and on how many training examples with how many labels that rests."""

    models: tuple[RankedModel, ...]
    examples: int
    labels: int
    most_tokens: int = MOST_TOKENS


def rank_models(
    recipe: Recipe, models: Sequence[str], progress: Progress, *, examples: int = MOST_EXAMPLES
) -> ModelRanking:
    """Rank models, by name or folder, on the training examples of a recipe.

    Raises `RecipeError` for a task without labels of texts, `DataError` where train has one label only, and
    `ModelError` for a model that cannot be read, before any is loaded.
    """
    if recipe.task.kind.shape not in (AnswerShape.LABEL, AnswerShape.LABELS):
        raise RecipeError(
            f"Models are ranked by the labels of texts, which a task of kind '{recipe.task.kind}' does not have; give "
            "one whose texts have labels."
        )
    require("Ranking models", *LOCAL)
    found = [_found(name, progress) for name in dict.fromkeys(models)]
    progress.say(f"Reading {recipe.data.path}")
    read = read_data(recipe, progress, given=None)
    train = subsample(read.split, train=examples, seed=recipe.seed, kind=read.task.kind).train
    targets = targets_of(read.task, train)
    if targets.shape[1] < (1 if read.task.kind.lists else 2):
        few = "one label only" if targets.shape[1] else "no label"
        raise DataError(
            f"The {len(train)} training examples that are read have {few}, by which no model can be ranked; give more "
            "data, or raise --examples."
        )
    ranked = [_ranked(each, read.task, train, targets, progress) for each in found]
    return ModelRanking(tuple(sorted(ranked, key=lambda each: -each.logme)), len(train), targets.shape[1])


_Found = tuple[str, ModelSource | EncoderSource]


def _found(name: str, progress: Progress) -> _Found:
    """Find a model, a language model or an encoder, before any is loaded; raises `ModelError`."""
    embedded, named = resolve(name), find_named(name)
    if embedded is not None:
        return name, ModelSource(str(embedded))
    encoder = EncoderSource(name)
    if named is not None and named.encoder:
        inspect_encoder(encoder)
        return name, encoder
    try:
        source = located(ModelSource(name), progress)
        inspect_checkpoint(source.name)
        return name, source
    except ModelError as error:
        try:
            inspect_encoder(encoder)
        except ModelError:
            raise error from None
        return name, encoder


def _ranked(found: _Found, task: Task, train: Sequence[Example], targets: Any, progress: Progress) -> RankedModel:
    """Read the states of a model and score each layer."""
    start = monotonic()
    with progress.stage(f"Reading with {found[0]}", len(train)) as advance:
        states = _states(found, [example.text for example in train], advance)
    if not np.isfinite(states).all():
        raise ModelError(
            f"The states of '{found[0]}' are not all finite numbers, so that its weights are damaged or too large for "
            "this precision; leave it out of --models."
        )
    several = task.kind.lists
    scored = tuple(separability(states[:, at], targets, several=several) for at in range(states.shape[1]))
    return RankedModel(found[0], scored, states.shape[2], monotonic() - start)


def frozen_states(name: str, texts: Sequence[str], progress: Progress) -> Floats:
    """Read the mean state of each text in every layer of a model, (N, layers + 1, width), as `rank_models` does."""
    return _states(_found(name, progress), texts, unwatched)


def _states(found: _Found, texts: Sequence[str], advance: Advance) -> Floats:
    with quiet(), own_randomness():
        model, tokenizer, room = _loaded(found[1])
        return mean_states(model, tokenizer, texts, most_tokens=min(room, MOST_TOKENS), advance=advance)


def _loaded(source: ModelSource | EncoderSource) -> tuple[Any, Any, int]:
    """Load the body of a model and its tokenizer, and say how many tokens it reads at once."""
    device = inspect().device
    if isinstance(source, EncoderSource):
        info = inspect_encoder(source)
        return *load_body(info, source.name, device), info.context_length
    loaded: Any = load_model(source, device)
    return loaded.base_model, load_tokenizer(source), inspect_checkpoint(source.name, source.revision).context_length


def as_json(ranking: ModelRanking) -> Mapping[str, Any]:
    """Write a ranking in JSON values."""
    return {
        "examples": ranking.examples,
        "labels": ranking.labels,
        "most_tokens": ranking.most_tokens,
        "models": [
            {
                "name": each.name,
                "logme": each.logme,
                "h_score": each.h_score,
                "best_layer": each.best_layer,
                "width": each.width,
                "seconds": round(each.seconds, 2),
                "layers": [
                    {"layer": at, "logme": layer.logme, "h_score": layer.h_score}
                    for at, layer in enumerate(each.layers)
                ],
            }
            for each in ranking.models
        ],
    }


def recipe_of(
    source: str | Path, *, text: str | None, label: str | None, models: Sequence[str], overrides: Sequence[str]
) -> Recipe:
    """Make the recipe of a data file with its columns, or read the one that `source` is; raises `InputError` kin."""
    if text and label:
        return recipe_for_data(source, text=text, label=label, model=models[0], overrides=overrides)
    if text or label or is_table(str(source)):
        missing = " and ".join(f"--{name}" for name, value in (("text", text), ("label", label)) if not value)
        raise RecipeError(f"A data file also needs {missing}; a recipe is a folder or a .yaml file.")
    return load_recipe(source, overrides)

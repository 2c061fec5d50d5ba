"""The `tuned-search` strategy: a search by vectors whose encoder is tuned on the queries of train.

Each round mines hard negatives with the encoder as it is then, and trains one epoch on queries with a relevant text
and negatives; the round that ranks dev best is kept. Tuning may make an encoder worse than it was: `embedding-search`
is the same search untouched, and the trace begins with its dev scores. Not covered: tuning on texts alone, distilling.
"""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from llmtl.answers import read_ranking
from llmtl.classical.found_texts import corpus_of
from llmtl.classical.grid import best_on_dev, dev_answers, training_examples
from llmtl.encoders.contrastive import Mining, TuningRow, mine, query_columns, ranking_loss
from llmtl.findings import FitFinding, GridPoint, Unit, cut_short
from llmtl.kinds.kind import AnswerShape
from llmtl.packages import require
from llmtl.seals import UNFINISHED
from llmtl.strategy import Facts, FitContext, Fitted, LocalServed, Predictor, Role, Runs, Strategy
from llmtl.task import Draw, references

if TYPE_CHECKING:
    from llmtl.encoders.sentence import SentenceEncoder
    from llmtl.encoders.trainer import Trained, TrainingPlan
    from llmtl.heads.vector_search import VectorIndex, VectorSearch

TUNED_FOLDER, ROUND_FOLDER = "encoder", "round-"
TUNING_SHARE = 0.85
"""The part of the time for fitting after which no step follows; the rest is for embedding the corpus."""


class TunedSearchConfig(BaseModel):
    """The choices of the `tuned-search` strategy."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    rounds: int = Field(default=3, ge=1, description="Epochs, before each of which hard negatives are mined anew.")
    learning_rate: float = Field(
        default=2e-5, gt=0, description="Peak learning rate of a round: what sentence-transformers' examples take."
    )
    batch_size: int = Field(default=16, ge=2, description="Queries per step; the texts of the others are negatives.")
    pairs_per_query: int = Field(default=4, ge=1, description="Relevant texts of a query in each round, at most.")
    negatives: int = Field(default=1, ge=0, description="Hard negatives of each pair.")
    depth: int = Field(default=50, ge=1, description="How many of the nearest texts negatives are taken from.")
    margin: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="By which share a negative must be less near than the positive; nearer ones are often relevant.",
    )
    warmup_fraction: float = Field(
        default=0.1, ge=0, lt=1, description="Share of a round's steps over which the learning rate rises from 0."
    )
    weight_decay: float = Field(default=0.01, ge=0, description="AdamW weight decay.")


@dataclass(frozen=True)
class Material:
    """What is learned from: queries, the places of the texts relevant to each, and its own place in the corpus."""

    queries: tuple[str, ...]
    texts: tuple[str, ...]
    relevant: tuple[frozenset[int], ...]
    itself: tuple[int | None, ...]


@dataclass(frozen=True)
class _Round:
    """The encoder after a round, as files, and the corpus as it embeds it."""

    folder: Path
    index: "VectorIndex"


class TunedSearch(Strategy[TunedSearchConfig]):
    """The tuned encoder is kept in the folder `encoder` beside the vectors; of equal rounds the first is."""

    section = TunedSearchConfig
    facts = Facts(
        name="tuned-search",
        title="Search by fine-tuned sentence vectors",
        advice="Fine-tune {model} for search",
        role=Role.TUNING,
        served=LocalServed,
        answers=frozenset({AnswerShape.RANKING}),
        runs=Runs.ENCODER,
        fit_weight=8,
        time_grows_with_train=True,
        draw=Draw.TRAINING,
        made_with="sentence-transformers",
        is_made_by="a sentence encoder that was tuned on pairs of a query and a relevant text",
        summary="A sentence encoder tuned on queries, relevant texts and hard negatives (retrieval).",
    )

    def require_packages(self) -> None:
        """Raise `MissingPackageError` unless the packages for tuning an encoder are installed."""
        require("Tuning an encoder", "sentence_transformers", "datasets")

    def fit(self, context: FitContext) -> Fitted:
        """Tune in rounds, and keep the best on dev; the encoder lies in the context's folder.

        Raises `DataError` without a corpus or training queries, and `TrainingError` where memory or numbers give out.
        """
        from llmtl.heads.layer_changes import changes_of_encoder, read_encoder_before
        from llmtl.heads.sentence_head import load_to_tune
        from llmtl.heads.vector_search import VectorIndex, VectorSearch

        start, limit = perf_counter(), context.budget.train_seconds
        until = None if limit is None else start + TUNING_SHARE * limit
        material = material_of(context)
        encoder = load_to_tune(context)
        layers = read_encoder_before(context, encoder, limit)
        before = VectorSearch(VectorIndex.over(context.corpus, encoder), lambda: encoder)
        untouched = GridPoint({"round": 0}, _dev_scores(before, context))
        done: list[Trained] = []
        rounds = self._rounds(context, encoder, material, until, done)
        best, trace = best_on_dev(rounds, context, name=self.name, count=self.config.rounds)
        kept = context.folder / TUNED_FOLDER
        best.folder.rename(kept)
        for other in context.folder.glob(f"{ROUND_FOLDER}*"):
            shutil.rmtree(other)
        metric = context.task.metric.value
        improving = trace.points[-1].scores[metric] == max(point.scores[metric] for point in trace.points)
        parts = sum(each.steps / each.planned for each in done)
        cut = cut_short(parts, self.config.rounds, Unit.EPOCHS, improving=improving)
        trace = replace(trace, points=(untouched, *trace.points))
        tuned = _opened(kept, context.device)
        found: tuple[FitFinding, ...] = (trace, *cut, *changes_of_encoder(layers, tuned))
        earlier = sum(each.earlier_seconds for each in done)
        return Fitted(VectorSearch(best.index, lambda: tuned, kept), found, earlier_seconds=earlier)

    def forecast(self, context: FitContext) -> float | None:
        """Time a few steps of tuning, and embedding a few texts, which every round does with all of them."""
        from llmtl.encoders.step_time import PROBED_STEPS, seconds_per_step, seconds_per_text
        from llmtl.heads.sentence_head import load_to_tune

        start, config = perf_counter(), self.config
        material, encoder = material_of(context), load_to_tune(context)
        each_text = seconds_per_text(encoder, material.texts)
        some = _part(material, queries=PROBED_STEPS * config.batch_size, more=config.depth)
        rows = self._mined(encoder, some, context.seed)[: PROBED_STEPS * config.batch_size]
        before = perf_counter() - start
        plan = self._plan(context.seed, context.budget.train_seconds and perf_counter() + context.budget.train_seconds)
        each_step = seconds_per_step(
            encoder,
            query_columns(rows, some.queries, some.texts, negatives=config.negatives),
            ranking_loss(rows, some.relevant, some.itself, negatives=config.negatives),
            plan,
        )
        steps = plan.steps(sum(min(config.pairs_per_query, len(each)) for each in material.relevant))
        corpus, dev = len(material.texts), len(context.dev)
        each_round = steps * each_step + (len(material.queries) + 2 * corpus + dev) * each_text
        return (before + (corpus + dev) * each_text + config.rounds * each_round) / TUNING_SHARE

    def load(self, context: FitContext, folder: Path) -> Predictor:
        """Load the vectors; the tuned encoder follows with the first query."""
        from llmtl.heads.vector_search import VectorIndex, VectorSearch

        tuned, device = folder / TUNED_FOLDER, context.device
        return VectorSearch(VectorIndex.read(folder), lambda: _opened(tuned, device), tuned)

    def _rounds(
        self,
        context: FitContext,
        encoder: "SentenceEncoder",
        material: Material,
        until: float | None,
        done: "list[Trained]",
    ) -> Iterator[tuple[_Round, Mapping[str, str | float], Sequence[str | None]]]:
        """Tune round by round, and yield each with its dev answers; notes in `done` how far each came.

        The first round is begun whatever the time.
        """
        from llmtl.encoders.trainer import save_points_in, train
        from llmtl.heads.vector_search import VectorIndex, VectorSearch

        for number in range(1, self.config.rounds + 1):
            if number > 1 and until is not None and perf_counter() >= until:
                return
            plan = self._plan(context.seed + number, until)
            rows = self._mined(encoder, material, context.seed + number)
            table = query_columns(rows, material.queries, material.texts, negatives=self.config.negatives)
            loss = ranking_loss(rows, material.relevant, material.itself, negatives=self.config.negatives)
            unfinished = context.folder / UNFINISHED / f"{ROUND_FOLDER}{number}"
            points = save_points_in(unfinished, encoder, table, plan, say=context.progress.say)
            with context.progress.stage(f"{self.name}: round {number}", plan.steps(len(rows))) as advance:
                trained = train(encoder, table, loss, plan, advance=advance, save_points=points)
            done.append(trained)
            folder = context.folder / f"{ROUND_FOLDER}{number}"
            encoder.save(folder)
            index = VectorIndex.over(context.corpus, encoder)
            choice = {"round": number, "rows": len(rows), "steps": trained.steps, "loss": trained.loss}
            yield _Round(folder, index), choice, dev_answers(VectorSearch(index, lambda: encoder), context)

    def _plan(self, seed: int, until: float | None) -> "TrainingPlan":
        from llmtl.encoders.trainer import TrainingPlan

        config = self.config
        return TrainingPlan(
            learning_rate=config.learning_rate,
            epochs=1,
            batch_size=config.batch_size,
            warmup=config.warmup_fraction,
            weight_decay=config.weight_decay,
            seed=seed,
            until=until,
        )

    def _mined(self, encoder: "SentenceEncoder", material: Material, seed: int) -> list[TuningRow]:
        from llmtl.heads.vector_search import unit_vectors

        config = self.config
        return mine(
            unit_vectors(encoder, material.queries),
            unit_vectors(encoder, material.texts),
            material.relevant,
            material.itself,
            Mining(config.negatives, config.depth, config.margin),
            pairs_per_query=config.pairs_per_query,
            seed=seed,
        )


def material_of(context: FitContext) -> Material:
    """Take queries and what is relevant to them from train."""
    corpus = corpus_of(context)
    places = {text.id: place for place, text in enumerate(corpus)}
    train = training_examples(context)
    texts = tuple(text.text for text in corpus)
    standing = {text: place for place, text in enumerate(texts)}
    return Material(
        queries=tuple(example.text for example in train),
        texts=texts,
        relevant=tuple(frozenset(places[id_] for id_ in read_ranking(each.reference)) for each in train),
        itself=tuple(standing.get(example.text) for example in train),
    )


def _part(material: Material, *, queries: int, more: int) -> Material:
    """Take the first queries, the texts relevant to them, and so many others."""
    relevant = material.relevant[:queries]
    wanted = sorted(frozenset().union(*relevant, range(min(more, len(material.texts)))))
    place = {old: new for new, old in enumerate(wanted)}
    return Material(
        queries=material.queries[:queries],
        texts=tuple(material.texts[at] for at in wanted),
        relevant=tuple(frozenset(place[at] for at in each) for each in relevant),
        itself=tuple(None if at is None else place.get(at) for at in material.itself[:queries]),
    )


def _dev_scores(predictor: "VectorSearch", context: FitContext) -> dict[str, float]:
    task, answers = context.task, dev_answers(predictor, context)
    measures = {each.value: task.kind.measure(each, references(context.dev)) for each in task.kind.metrics}
    return {name: measure.score(answers) for name, measure in measures.items()}


def _opened(folder: Path, device: str) -> "SentenceEncoder":
    from llmtl.encoders.sentence import SentenceEncoder

    return SentenceEncoder.kept(folder, device)

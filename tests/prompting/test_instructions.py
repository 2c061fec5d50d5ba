"""Wordings of the instruction: which are tried, which is chosen, what is reported and restored."""

from dataclasses import replace

import pytest
from sklearn.metrics import accuracy_score

from llmtl.kinds.classification import CLASSIFICATION
from llmtl.kinds.table import KINDS
from llmtl.prompting.fitted import PROMPT_FILE
from llmtl.prompting.instructions import wordings
from llmtl.prompting.prompts import Prompts
from llmtl.store import write_json
from llmtl.strategies.few_shot import FewShot, FewShotConfig
from llmtl.strategies.knn_few_shot import KnnFewShot, KnnFewShotConfig
from llmtl.strategies.zero_shot import ZeroShot, ZeroShotConfig
from llmtl.task import Task, references
from tests.support.fitted import search_of

OWN = "Sort the message."
TASK = Task("routing", ("billing", "card lost", "refund"), instruction=OWN)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_three_wordings_of_which_the_first_is_the_default(kind):
    assert len(set(kind.instructions)) == 3


def test_the_tasks_own_comes_first_and_none_twice():
    general = CLASSIFICATION.instructions
    assert wordings(TASK, ZeroShotConfig(instructions=("Route it.", OWN))) == (OWN, "Route it.", *general)
    assert wordings(replace(TASK, instruction=general[1]), ZeroShotConfig()) == (general[1], general[0], general[2])
    assert wordings(TASK, ZeroShotConfig(built_in_instructions=False)) == (OWN,)


def test_zero_shot_scores_each_wording_on_dev_and_keeps_the_best(make_context, engine):
    context = make_context(task=TASK)
    fitted = ZeroShot(ZeroShotConfig(instructions=("Is it about money?",), rotations=1)).fit(context)
    trace, truth = search_of(fitted), references(context.dev)
    texts = [example.text for example in context.dev]
    prompts = Prompts(context, engine)
    for row, wording in zip(trace.tried, trace.instructions, strict=True):
        guesses = [each.answer for each in prompts.predictor(wording).predict(texts)]
        assert row.scores["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    best = max(trace.tried, key=lambda row: (row.scores["accuracy"], -row.instruction))
    assert fitted.predictor.served().instruction == trace.instructions[best.instruction]
    assert len(trace.tried) == 5


@pytest.mark.parametrize(
    ("strategy", "draws"),
    [
        (FewShot(FewShotConfig(shots=(2, 4), seeds=2)), 2),
        (KnnFewShot(KnnFewShotConfig(shots=(2, 4))), 1),
    ],
    ids=["few-shot", "knn-few-shot"],
)
def test_wordings_are_crossed_with_the_seeds_at_the_best_number(make_context, strategy, draws):
    trace = search_of(strategy.fit(make_context(task=TASK)))
    own = [row for row in trace.tried if row.instruction == 0]
    others = [row for row in trace.tried if row.instruction]
    first = max(own, key=lambda row: (row.scores["accuracy"], -row.shots, -row.seed))
    assert len(own) == 2 * draws
    assert {(row.seed, row.instruction) for row in others} == {(s, i) for s in range(draws) for i in (1, 2, 3)}
    assert {row.shots for row in others} == {first.shots}


@pytest.mark.parametrize("kept", [OWN, "Other words."])
def test_the_stored_wording_is_restored_into_the_prompt(make_context, engine, kept):
    context = make_context(task=TASK)
    states = {
        ZeroShot(): {"instruction": kept},
        FewShot(): {"instruction": kept, "demonstrations": ["train-1"]},
        KnnFewShot(): {"instruction": kept, "shots": 1, "seed": 0, "retrieval": "tfidf"},
    }
    for strategy, state in states.items():
        write_json(context.folder / PROMPT_FILE, state)
        restored = strategy.load(context, context.folder)
        assert restored.served().instruction == kept
        engine.prompts.clear()
        restored.predict(["hello"])
        assert [prompt.count(f"{kept}\nLabels: billing") for prompt in engine.prompts] == [1]


def test_a_state_without_a_wording_means_the_tasks_own(make_context, engine):
    context = make_context(task=TASK)
    write_json(context.folder / PROMPT_FILE, {})
    ZeroShot().load(context, context.folder).predict(["hello"])
    assert f"{OWN}\nLabels: billing" in engine.prompts[-1]

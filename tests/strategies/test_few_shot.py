"""Few-shot over a tiny real model: what is in the prompts, how candidates are scored, what does not fit."""

import random
from dataclasses import replace

import pytest
from sklearn.metrics import accuracy_score, f1_score

from llmtl.errors import ContextLengthError, RunError
from llmtl.prompting.demonstrations import interleaved
from llmtl.prompting.fitted import prompt_of
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.template import Template
from llmtl.strategies.few_shot import FewShot, FewShotConfig
from llmtl.strategy import Role
from llmtl.task import Example, references
from tests.support.fitted import again, search_of

SMALL = FewShotConfig(shots=(2, 4), seeds=2, built_in_instructions=False)


def without_seconds(trace):
    """Return the trace less the measured times."""
    return replace(trace, tried=tuple(replace(each, seconds=0.0) for each in trace.tried))


def test_every_candidate_is_scored_on_dev_with_its_own_demonstrations(make_context, engine):
    context = make_context(seed=5)
    trace = search_of(FewShot(SMALL).fit(context))
    assert [(each.seed, each.shots) for each in trace.tried] == [(5, 2), (5, 4), (6, 2), (6, 4)]
    template, truth = Template(context.task, engine), references(context.dev)
    for each in trace.tried:
        shown = interleaved(context.train, context.task.labels, count=each.shots, seed=each.seed)
        predictor = LabelPredictor(context.task, engine, template, demonstrations=lambda text, shown=shown: shown)
        guesses = [one.answer for one in predictor.predict([example.text for example in context.dev])]
        assert each.scores["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
        assert each.scores["macro_f1"] == pytest.approx(f1_score(truth, guesses, average="macro", zero_division=0))
    best = max(trace.tried, key=lambda each: (each.scores["accuracy"], -each.shots, -each.seed))
    assert (trace.shots, trace.seed) == (best.shots, best.seed)
    assert trace.dev_examples == 8


def test_the_predictor_shows_the_chosen_demonstrations_in_order(make_context, engine):
    context = make_context()
    fitted = FewShot(SMALL).fit(context)
    engine.prompts.clear()
    fitted.predictor.predict(["where is my money"])
    shown = fitted.predictor.served().demonstrations
    assert engine.prompts == [Template(context.task, engine).prompt("where is my money", shown)]
    assert set(shown) <= set(context.train)
    assert len(shown) == search_of(fitted).shots


def test_demonstrations_come_from_train_alone(make_context, engine):
    context = make_context()
    FewShot(SMALL).fit(context)
    assert len(engine.prompts) == 4 * 8
    assert all(prompt.count("dev-") == 0 and prompt.count(" dev ") == 1 for prompt in engine.prompts)
    assert all(prompt.count(" train ") in (2, 4) for prompt in engine.prompts)


def test_restoring_gives_the_same_predictions_without_scoring_dev(make_context, engine):
    strategy, context = FewShot(SMALL), make_context()
    fitted = strategy.fit(context).predictor
    texts = ["charged again", "lost it", "money back"]
    expected = fitted.predict(texts)
    engine.prompts.clear()
    restored = again(strategy, context, fitted)
    assert engine.prompts == []
    for mine, theirs in zip(restored.predict(texts), expected, strict=True):
        assert mine.answer == theirs.answer
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)
    assert restored.served() == fitted.served()


def test_fitting_twice_gives_the_same(make_context):
    first, second = (FewShot(SMALL).fit(make_context()) for _ in range(2))
    assert first.predictor.served() == second.predictor.served()
    assert without_seconds(search_of(first)) == without_seconds(search_of(second))


def test_a_demonstration_missing_from_train_is_an_error_with_the_cure(make_context):
    with pytest.raises(RunError, match=r"'gone' is not in train any more; run the recipe again"):
        prompt_of(make_context(), {"demonstrations": ["gone"]})


def test_more_shots_than_training_examples_are_cut_to_them(make_context):
    context = make_context()
    context = replace(context, train=context.train[:5])
    trace = search_of(FewShot(FewShotConfig(seeds=1, built_in_instructions=False)).fit(context))
    assert [each.shots for each in trace.tried] == [4, 5]


def long_text(words):
    draw = random.Random(words)
    return " ".join(draw.choice(["qwx", "zkv", "jyp"]) for _ in range(words))


def test_numbers_that_leave_no_room_for_the_longest_input_are_left_out(make_context, engine):
    context = make_context()
    template = Template(context.task, engine)
    room = LabelPredictor(context.task, engine, template).prompt_room()
    longest = Example("long", long_text(80), "refund")
    context = replace(context, dev=(*context.dev, longest))
    trace = search_of(FewShot(FewShotConfig(shots=(2, 4, 8, 12), seeds=2, built_in_instructions=False)).fit(context))
    tried = {(each.seed, each.shots) for each in trace.tried}
    out = {(each.seed, each.shots) for each in trace.left_out}
    assert tried
    assert out
    for seed in (0, 1):
        for shots in (2, 4, 8, 12):
            shown = interleaved(context.train, context.task.labels, count=shots, seed=seed)
            fits = engine.count_tokens(template.prompt(longest.text, shown)) <= room
            assert ((seed, shots) in tried, (seed, shots) in out) == (fits, not fits)
    assert all(each.failed == 0 for each in trace.tried)


def test_no_room_at_all_is_an_error_with_the_cure(make_context):
    context = make_context()
    context = replace(context, dev=(Example("long", long_text(400), "refund"),))
    with pytest.raises(
        ContextLengthError, match=r"Even 2 demonstrations .* 512 tokens; shorten .* 'strategies.few_shot"
    ):
        FewShot(SMALL).fit(context)


def test_a_large_dev_set_is_sampled_for_the_search(make_context, engine):
    context = make_context()
    config = FewShotConfig(shots=(2,), seeds=2, dev_examples=5, built_in_instructions=False)
    assert search_of(FewShot(config).fit(context)).dev_examples == 5
    assert len(engine.prompts) == 2 * 5
    assert context.progress.stages["few-shot: choosing demonstrations"] == [10, 10]


def test_one_label_in_train_still_works(make_context):
    context = make_context()
    train = tuple(example for example in context.train if example.reference == "refund")
    predicted = (
        FewShot(FewShotConfig(shots=(2,), seeds=1)).fit(replace(context, train=train)).predictor.predict(["hello"])
    )
    assert predicted[0].answer in context.task.labels


def test_name_and_role():
    assert (FewShot().name, FewShot().role) == ("few-shot", Role.PROMPTING)

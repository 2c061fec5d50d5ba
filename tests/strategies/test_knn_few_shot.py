"""Retrieved demonstrations over a tiny real model: order, room, choice of k."""

from dataclasses import replace

import pytest
from sklearn.metrics import accuracy_score

from llmtl.errors import ContextLengthError
from llmtl.findings import LeftOutPrompt
from llmtl.prompting.demonstrations import interleaved
from llmtl.prompting.predictors import LabelPredictor
from llmtl.prompting.retrieval import Retriever
from llmtl.prompting.template import Template
from llmtl.strategies.knn_few_shot import KnnFewShot, KnnFewShotConfig
from llmtl.strategy import Role
from llmtl.task import Example, references
from tests.support.fitted import again, search_of

SMALL = KnnFewShotConfig(built_in_instructions=False, shots=(2, 4))


def long_text(words, word="qwx"):
    return " ".join([word] * words)


def test_the_most_similar_training_example_is_last_before_the_input(make_context, engine):
    context = make_context()
    fitted = KnnFewShot(SMALL).fit(context).predictor
    engine.prompts.clear()
    fitted.predict(["lost card train 2"])
    (prompt,) = engine.prompts
    template = Template(context.task, engine)
    index = Retriever(interleaved(context.train, context.task.labels, count=14, seed=0))
    shown = index.nearest("lost card train 2", fitted.served().retrieved.shots)
    assert prompt == template.prompt("lost card train 2", shown)
    assert shown[-1].text == "lost card train 2"
    assert template.prompt("hello", shown[-1:])[-60:] == template.prompt("hello", shown)[-60:]


def test_k_is_chosen_on_dev(make_context, engine):
    context = make_context()
    trace = search_of(KnnFewShot(SMALL).fit(context))
    template, truth = Template(context.task, engine), references(context.dev)
    index = Retriever(interleaved(context.train, context.task.labels, count=14, seed=0))
    assert [each.shots for each in trace.tried] == [2, 4]
    for each in trace.tried:
        predictor = LabelPredictor(
            context.task, engine, template, demonstrations=lambda text, k=each.shots: index.nearest(text, k)
        )
        guesses = [one.answer for one in predictor.predict([example.text for example in context.dev])]
        assert each.scores["accuracy"] == pytest.approx(accuracy_score(truth, guesses))
    best = max(trace.tried, key=lambda each: (each.scores["accuracy"], -each.shots))
    assert trace.shots == best.shots


def test_demonstrations_come_from_train_alone(make_context, engine):
    KnnFewShot(SMALL).fit(make_context())
    assert len(engine.prompts) == 2 * 8
    assert all(prompt.count(" dev ") == 1 for prompt in engine.prompts)
    assert all(prompt.count(" train ") in (2, 4) for prompt in engine.prompts)


def test_a_long_input_gets_fewer_demonstrations_the_most_similar_ones(make_context, engine):
    context = make_context()
    fitted = KnnFewShot(KnnFewShotConfig(built_in_instructions=False, shots=(8,))).fit(context).predictor
    template = Template(context.task, engine)
    room = LabelPredictor(context.task, engine, template).prompt_room()
    text = f"charged {long_text(90)}"
    all_shown = Retriever(interleaved(context.train, context.task.labels, count=14, seed=0)).nearest(text, 8)
    lengths = [engine.count_tokens(template.prompt(text, all_shown[8 - kept :])) for kept in range(1, 9)]
    kept = sum(length <= room for length in lengths)
    assert 0 < kept < 8, "the text should leave room for some but not all"
    engine.prompts.clear()
    (predicted,) = fitted.predict([text])
    assert engine.prompts == [template.prompt(text, all_shown[8 - kept :])]
    assert predicted.failure is None


def test_an_input_longer_than_the_context_is_a_recorded_failure(make_context):
    long, short = KnnFewShot(SMALL).fit(make_context()).predictor.predict([long_text(600), "hello"])
    assert long.answer is None
    assert "leaves room for" in long.failure
    assert short.answer is not None


def test_a_number_that_rarely_fits_is_left_out(make_context):
    context = make_context()
    train = tuple(Example(f"t{each}", long_text(30, f"word{each}"), "refund") for each in range(10))
    config = KnnFewShotConfig(built_in_instructions=False, shots=(1, 10))
    trace = search_of(KnnFewShot(config).fit(replace(context, train=train)))
    assert [each.shots for each in trace.tried] == [1]
    assert trace.left_out == (LeftOutPrompt(10, 0, "fits for 0% of the inputs"),)


def test_no_room_at_all_is_an_error_with_the_cure(make_context):
    context = make_context()
    dev = (Example("long", long_text(500), "refund"),)
    with pytest.raises(ContextLengthError, match=r"Retrieving 2 .* 512 tokens; shorten .* 'strategies.knn_few_shot"):
        KnnFewShot(SMALL).fit(replace(context, dev=dev))


def test_an_input_like_no_other_gets_demonstrations_of_different_labels(make_context, engine):
    context = make_context()
    fitted = KnnFewShot(KnnFewShotConfig(built_in_instructions=False, shots=(3,))).fit(context).predictor
    engine.prompts.clear()
    fitted.predict(["ßß"])
    shown = interleaved(context.train, context.task.labels, count=3, seed=0)
    assert {each.reference for each in shown} == set(context.task.labels)
    assert engine.prompts == [Template(context.task, engine).prompt("ßß", shown[::-1])]


def test_restoring_gives_the_same_prompts(make_context, engine):
    strategy, context = KnnFewShot(SMALL), make_context(seed=3)
    fitted = strategy.fit(context).predictor
    engine.prompts.clear()
    expected = fitted.predict(["charged", "money", "9"])
    # the run's seed must not matter any more: the stored one does
    restored = again(strategy, replace(context, seed=4), fitted)
    got = restored.predict(["charged", "money", "9"])
    assert engine.prompts[:3] == engine.prompts[3:]
    for mine, theirs in zip(got, expected, strict=True):
        assert mine.probabilities == pytest.approx(theirs.probabilities, abs=1e-5)


def test_name_and_role():
    assert (KnnFewShot().name, KnnFewShot().role) == ("knn-few-shot", Role.PROMPTING)

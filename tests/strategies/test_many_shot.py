"""Many-shot: as many demonstrations as fit, no more; left out where few-shot tries as many."""

from collections import Counter
from dataclasses import replace

import pytest

from llmtl.errors import ContextLengthError
from llmtl.prompting.demonstrations import interleaved
from llmtl.prompting.prompts import Prompts
from llmtl.strategies.few_shot import FewShotConfig
from llmtl.strategies.many_shot import ManyShot, ManyShotConfig
from llmtl.strategy import Role
from tests.support.fitted import again, search_of
from tests.support.routing_task import labelled

ONE = ManyShotConfig(seeds=1, built_in_instructions=False, context_fraction=0.9)


def test_the_context_is_filled_to_the_fraction_and_not_beyond(make_context):
    context = make_context(train=labelled(80))
    fitted = ManyShot(ONE).fit(context).predictor
    prompts, instruction = Prompts(context), context.task.instruction
    longest = max((each.text for each in (*context.train, *context.dev)), key=prompts.engine.count_tokens)
    drawn = interleaved(context.train, context.task.labels, count=80, seed=0)
    shown = fitted.served().demonstrations
    most = len(shown)
    room = 0.9 * prompts.room(instruction)
    assert prompts.tokens(instruction, longest, drawn[:most]) <= room
    assert prompts.tokens(instruction, longest, drawn[: most + 1]) > room
    assert shown == drawn[:most]
    counts = Counter(each.reference for each in shown)
    assert max(counts.values()) - min(counts.values()) <= 1
    assert fitted.predict(["hello"])[0].answer in context.task.labels


def test_all_of_train_where_it_fits_and_restored_alike(make_context, engine):
    strategy, context = ManyShot(ONE), make_context(train=labelled(6))
    fitted = strategy.fit(context).predictor
    assert len(fitted.served().demonstrations) == 6
    restored = again(strategy, context, fitted)
    assert restored.predict(["hello"])[0].answer == fitted.predict(["hello"])[0].answer
    assert (strategy.name, strategy.role) == ("many-shot", Role.PROMPTING)


def test_seeds_and_wordings_share_one_number(make_context):
    context = make_context(train=labelled(80))
    trace = search_of(ManyShot(ManyShotConfig(seeds=2)).fit(context))
    assert len({each.shots for each in trace.tried}) == 1
    assert len(trace.tried) == 2 * len(trace.instructions)


@pytest.mark.parametrize(("train", "reason"), [(6, "train has 6"), (80, r"the context has room for \d+")])
def test_no_more_than_few_shot_tries_is_left_out_with_the_reason(make_context, train, reason):
    context = replace(make_context(), train=labelled(train), others={"few-shot": FewShotConfig(shots=(4, 79))})
    with pytest.raises(ContextLengthError, match=f"nothing more than few-shot tries: {reason} demonstrations"):
        ManyShot(ONE).fit(context)

"""General text to rehearse: how much of it, never what is measured on, and that a training sees it."""

import pytest

from llmtl.engines.tokens import encode_plain
from llmtl.general.samples import passages
from llmtl.tuning.rehearsal import rehearsal
from llmtl.tuning.training import train


@pytest.mark.parametrize(
    ("examples", "share", "expected"), [(95, 0.05, 5), (10, 0.01, 1), (99, 0.01, 1), (800, 0.0, 0)]
)
def test_the_share_is_of_all_that_is_trained_on(tokenizer, examples, share, expected):
    found = rehearsal(examples, share, tokenizer, max_length=512, seed=0)
    assert len(found) == expected
    assert all(each.labels == (-100, *each.input_ids[1:]) for each in found)


def test_no_passage_comes_again_before_all_have_come_and_none_is_measured_on(tokenizer):
    found = rehearsal(1900, 0.05, tokenizer, max_length=512, seed=0)
    assert len({each.input_ids for each in found}) == len(found) == 100
    assert not {each.input_ids for each in found} & {tuple(ids) for ids in encode_plain(tokenizer, passages())}
    assert found != rehearsal(1900, 0.05, tokenizer, max_length=512, seed=1)
    assert rehearsal(100, 0.05, tokenizer, max_length=3, seed=0) == ()


def test_a_training_goes_through_it(make_job, tokenizer):
    passage = rehearsal(8, 0.05, tokenizer, max_length=512, seed=0)
    plain, rehearsing = (make_job(f"adapter-{len(each)}", rehearsed=each, max_epochs=1) for each in ((), passage))
    more = train(rehearsing).trained_tokens - train(plain).trained_tokens
    assert more == len(passage[0].input_ids)

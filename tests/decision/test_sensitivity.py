from dataclasses import replace

import numpy as np
from decision_worlds import CONFIG, PRICES, TASK, evaluation

from llmtl.decision import choose, decide
from llmtl.decision.outcome import Verdict
from llmtl.decision.sensitivity import NOISE, Suspects, without_suspects

N = 200


def world(tfidf, qlora, split):
    return [evaluation("tfidf", tfidf, split=split), evaluation("qlora", qlora, split=split)]


def decided(dev, test):
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="now")
    return decide(TASK, choice, dev=dev, test=test, config=CONFIG, prices=PRICES)


def sensitivity(dev, test, ids):
    suspects = Suspects(frozenset(ids), "made up")
    return without_suspects(
        TASK, decided(dev, test), dev=dev, test=test, suspects=suspects, config=CONFIG, prices=PRICES
    )


def test_a_win_on_doubtful_labels_alone_is_lost_without_them():
    first = np.arange(N) < 60  # qlora alone is right on the first 60, all of them suspects
    rest = np.arange(N) % 5 > 0
    worlds = [world(rest & ~first, rest | first, split) for split in ("dev", "test")]
    ids = [f"{split}-{i}" for split in ("dev", "test") for i in range(60)]
    found = sensitivity(*worlds, ids)
    assert decided(*worlds).verdict is Verdict.ADOPT
    assert found.changed
    assert (found.verdict, found.winner) == (Verdict.BASELINE, "tfidf")
    assert (len(found.dev), len(found.test)) == (60, 60)
    assert "read over" in found.sentence
    after = {item.strategy: item.after for item in found.scores}
    assert after["tfidf"] == after["qlora"] == rest[60:].mean()


def test_the_same_verdict_says_so_and_keeps_costs():
    worlds = [world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split) for split in ("dev", "test")]
    found = sensitivity(*worlds, ["test-0", "dev-3"])
    assert not found.changed
    assert found.winner == "qlora"
    assert NOISE.validate_json(NOISE.dump_json(found)) == found


def test_without_suspects_in_dev_or_test_nothing_is_decided_again():
    worlds = [world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split) for split in ("dev", "test")]
    found = sensitivity(*worlds, ["train-7"])
    assert (found.verdict, found.changed, found.unchecked) == (None, False, None)
    assert "No label" in found.sentence


def test_too_few_left_is_no_answer():
    worlds = [world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split) for split in ("dev", "test")]
    assert "too few" in sensitivity(*worlds, [f"test-{i}" for i in range(N - 5)]).unchecked


def test_seeds_groups_and_alternatives_lose_the_suspects_too():
    dev, test = (
        [replace(item, groups=("g",) * N) for item in world(np.ones(N), np.ones(N), s)] for s in ("dev", "test")
    )
    assert sensitivity(dev, test, ["dev-1", "test-1"]).unchecked is None

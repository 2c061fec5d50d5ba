from dataclasses import replace

import numpy as np

from llmtl.costs import Spent
from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Dropped, Verdict
from llmtl.decision.sensitivity import NOISE, NoAnswer, NotRefitted, Suspects, Unchecked, Unfitted, without_suspects
from llmtl.task import Draw
from tests.support.decision_worlds import CONFIG, PRICES, TASK, evaluation

N = 200


def world(tfidf, qlora, split):
    return [evaluation("tfidf", tfidf, split=split), evaluation("qlora", qlora, split=split)]


def decided(dev, test):
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="now")
    return decide(TASK, choice, dev=dev, test=test, config=CONFIG, prices=PRICES)


def sensitivity(dev, test, ids, **changes):
    suspects = Suspects(frozenset(ids), **changes)
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


def test_too_few_left_is_no_answer():
    worlds = [world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split) for split in ("dev", "test")]
    found = sensitivity(*worlds, [f"test-{i}" for i in range(N - 5)])
    assert found.unchecked == NoAnswer(Unchecked.TOO_FEW_LEFT)


def test_seeds_groups_and_alternatives_lose_the_suspects_too():
    dev, test = (
        [replace(item, groups=("g",) * N) for item in world(np.ones(N), np.ones(N), s)] for s in ("dev", "test")
    )
    assert sensitivity(dev, test, ["dev-1", "test-1"]).unchecked is None


def test_who_left_the_race_is_compared_again_with_what_is_left_of_its_examples():
    dev, test = (
        [*world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split), evaluation("zero-shot", good, split=split)]
        for split, good in (("dev", np.arange(N) % 2 > 0), ("test", np.arange(N) % 20 > 0))
    )
    part = evaluation("zero-shot", np.arange(60) % 2 > 0, split="dev")
    dropped = [Dropped("zero-shot", 60, N, "qlora", 0.5, 0.95, 0.5)]
    choice = choose(TASK, dev[:2], config=CONFIG, prices=PRICES, written_at="now", dropped=dropped, left=[part])
    before = decide(TASK, choice, dev=dev[:2], test=test, config=CONFIG, prices=PRICES, dropped=[part])
    suspects = Suspects(frozenset(["dev-1", "test-2"]))
    found = without_suspects(
        TASK, before, dev=[*dev[:2], part], test=test, suspects=suspects, config=CONFIG, prices=PRICES
    )
    assert (before.verdict, before.winner) == (Verdict.TIE, "qlora")
    assert (found.verdict, found.winner, found.changed) == (Verdict.TIE, "qlora", False)


def test_refits_take_the_place_of_what_had_learned_from_suspects_and_cost_the_same():
    fourth, tenth = np.arange(N) % 4 > 0, np.arange(N) % 10 > 0
    dev, test = (world(fourth, tenth, split) for split in ("dev", "test"))
    assert decided(dev, test).winner == "qlora"
    left = {item.split: np.arange(N) != 3 for item in (*dev, *test)}
    refits = tuple(
        replace(item, predictions=tuple(item.predictions[i] for i in np.flatnonzero(left[item.split])), p95_ms=9e9)
        for split in ("dev", "test")
        for item in [evaluation("tfidf", tenth, split=split)]
    )
    found = sensitivity(dev, test, ["dev-3", "test-3", "train-1"], in_train=1, refitted=refits)
    assert found.changed
    assert found.winner == "tfidf"  # as good as qlora once fitted again, and cheaper
    scores = {item.strategy: item for item in found.scores}
    assert (scores["tfidf"].refitted, scores["qlora"].refitted) == (True, False)
    assert scores["tfidf"].after == scores["qlora"].after == tenth[np.arange(N) != 3].mean()
    assert found.train == 1


def test_a_refit_with_fewer_seeds_than_the_verdict_rests_on_is_marked():
    fourth, tenth = np.arange(N) % 4 > 0, np.arange(N) % 10 > 0
    dev, test = (world(fourth, tenth, split) for split in ("dev", "test"))
    seeds = tuple(evaluation("qlora", np.arange(N) % k > 0, split="test").predictions for k in (9, 11))
    test[1] = replace(test[1], seed_predictions=seeds)
    refits = tuple(evaluation("qlora", tenth, split=split) for split in ("dev", "test"))
    found = sensitivity(dev, test, ["train-1"], in_train=1, refitted=refits, spent=Spent(9.0, 0.5))
    rows = {item.strategy: (item.refitted, item.seeds, item.seeds_after) for item in found.scores}
    assert rows == {"tfidf": (False, 1, 1), "qlora": (True, 3, 1)}
    assert found.refits == Spent(9.0, 0.5)
    assert NOISE.validate_json(NOISE.dump_json(found)) == found


def test_one_refit_is_judged_by_the_spread_of_the_draws_that_there_were():
    """By the stated spread, which is wider, the verdict would change for want of a second draw alone."""
    fifth, tenth = np.arange(N) % 5 > 0, np.arange(N) % 10 > 0
    dev, test = (world(fifth, tenth, split) for split in ("dev", "test"))
    seeds = tuple(evaluation("qlora", np.arange(N) % k > 0, split="test").predictions for k in (9, 11))
    test[1] = replace(test[1], seed_predictions=seeds, draw=Draw.TRAINING)
    refits = tuple(replace(evaluation("qlora", tenth, split=split), draw=Draw.TRAINING) for split in ("dev", "test"))
    before = decided(dev, test)
    found = sensitivity(dev, test, ["train-1"], in_train=1, refitted=refits)
    assert (before.verdict, found.verdict, found.changed) == (Verdict.ADOPT, Verdict.ADOPT, False)
    once = [test[0], replace(refits[1], draw_sd=None)]
    assert decided(dev, once).verdict is Verdict.INCONCLUSIVE


def test_what_was_not_fitted_again_is_kept_with_its_reason():
    worlds = [world(np.arange(N) % 3 > 0, np.arange(N) % 20 > 0, split) for split in ("dev", "test")]
    kept = {"qlora": NotRefitted(Unfitted.NO_TIME, 540.0, 60.0)}
    found = sensitivity(*worlds, ["test-0", "train-1"], in_train=1, not_refitted=kept)
    assert found.not_refitted == kept
    alone = sensitivity(*worlds, ["train-1"], in_train=1, not_refitted=kept)
    assert (alone.verdict, alone.train, alone.not_refitted) == (None, 1, kept)

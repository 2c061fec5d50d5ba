"""The choice on dev: the rule, its pitfalls on small dev sets, gates, and the comparisons it commits to."""

from dataclasses import replace

import numpy as np
import pytest

from llmtl.costs import PriceConfig, StatedCost
from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Dropped, Purpose, Verdict
from llmtl.errors import RecipeError, RunError
from llmtl.metrics.paired import compare_counts
from llmtl.task import Metric
from tests.support.decision_worlds import CONFIG, PRICES, TASK, drawn, evaluation, evaluations, exactly


def choice_of(outcomes, *, config=CONFIG, prices=PRICES, task=TASK):
    made = outcomes if isinstance(outcomes, list) else evaluations(outcomes, "dev")
    return choose(task, made, config=config, prices=prices, written_at="then")


def test_a_cheaper_strategy_that_is_likely_as_good_is_chosen():
    outcomes = {"tfidf": exactly(0.5, 100), "zero-shot": exactly(0.89, 100), "qlora": exactly(0.9, 100)}
    choice = choice_of(outcomes)
    assert (choice.strategy, choice.best_on_dev, choice.best_baseline) == ("zero-shot", "qlora", "tfidf")
    assert choice.within_margin == ("zero-shot", "qlora")
    assert choice.runner_up == choice.best_llm == "qlora"


def test_a_wider_gap_than_the_margin_is_not_given_away():
    outcomes = {"tfidf": exactly(0.5, 100), "zero-shot": exactly(0.87, 100), "qlora": exactly(0.9, 100)}
    assert choice_of(outcomes).strategy == "qlora"
    assert choice_of(outcomes, config=CONFIG.model_copy(update={"margin": 0.06})).strategy == "zero-shot"


def test_the_choice_has_the_least_expected_regret():
    outcomes = {"tfidf": exactly(0.5, 400), "zero-shot": exactly(0.89, 400), "qlora": exactly(0.9, 400)}
    choice = choice_of(outcomes)
    assert choice.strategy == min(choice.expected_regret, key=choice.expected_regret.get) == "zero-shot"
    # a point behind, and nothing cheaper as good: the regret is the gap, and that of luck in which of the two leads
    assert choice.expected_regret["zero-shot"] == pytest.approx(0.01, abs=0.002)
    # the dearer one is charged the margin, as surely as the cheap one lies within it
    assert choice.expected_regret["qlora"] == pytest.approx(0.02, abs=0.003)
    assert choice.expected_regret["tfidf"] == pytest.approx(0.4, abs=0.03)


def test_the_cheap_baseline_is_not_chosen_for_want_of_evidence():
    """Six dev examples show nothing: majority is not shown worse, and is the cheapest, but scored two of six below."""
    outcomes = {"majority": exactly(0.5, 6), "few-shot": exactly(0.83, 6)}
    choice = choice_of(outcomes)
    assert choice.not_shown_worse == ("majority", "few-shot")
    assert (choice.within_margin, choice.strategy) == (("few-shot",), "few-shot")


def test_shown_worse_is_the_one_sided_bound_against_the_margin():
    best, worse = exactly(0.9, 100), exactly(0.8, 100)
    bound = compare_counts(10, 0, 100).at_least
    for margin, plausible in ((bound - 1e-3, ("few-shot",)), (bound + 1e-3, ("zero-shot", "few-shot"))):
        config = CONFIG.model_copy(update={"margin": margin})
        assert choice_of({"zero-shot": worse, "few-shot": best}, config=config).not_shown_worse == plausible


def test_horizon_and_volume_decide_what_is_cheapest():
    outcomes = {"few-shot": exactly(0.9, 50), "qlora": exactly(0.9, 50)}
    assert choice_of(outcomes).strategy == "few-shot"
    many = PriceConfig(requests_per_month=100_000, months=12)
    assert choice_of(outcomes, prices=many).strategy == "qlora"


def test_costs_within_a_tenth_count_as_equal_and_the_simpler_role_wins():
    level = {"usd_fitting": 0.0, "usd": 0.010}
    dev = [
        evaluation("qlora", exactly(0.9, 50), split="dev", **level),
        evaluation("knn-few-shot", exactly(0.9, 50), split="dev", **(level | {"usd": 0.0109})),
        evaluation("few-shot", exactly(0.9, 50), split="dev", **(level | {"usd": 0.0105})),
    ]
    # both prompting strategies cost the same within noise: the first listed is taken, though the second is cheaper
    assert choice_of(dev).strategy == "knn-few-shot"
    dearer = [dev[0], *(replace(item, stated=StatedCost(0.012 / 1000, 0.0)) for item in dev[1:])]
    assert choice_of(dearer).strategy == "qlora"


def test_gates_exclude_with_a_reason_and_others_remain():
    config = CONFIG.model_copy(update={"max_p95_ms": 8.0, "max_memory_gib": 2.0, "max_usd_per_1k": 0.05})
    dev = [
        evaluation("tfidf", exactly(0.5, 50), split="dev", p95_ms=1.0),
        evaluation("few-shot", exactly(0.9, 50), split="dev", p95_ms=9.0, peak_memory_gib=4.0),
        evaluation("knn-few-shot", exactly(0.9, 50), split="dev", p95_ms=1.0),
        evaluation("qlora", exactly(0.7, 50), split="dev", p95_ms=8.0),
    ]
    choice = choice_of(dev, config=config)
    assert choice.strategy == "qlora"
    assert choice.barred == {
        "few-shot": (Broken(Constraint.P95_MS, 8, 9), Broken(Constraint.MEMORY_GIB, 2, 4)),
        "knn-few-shot": (Broken(Constraint.USD_PER_1K, 0.05, 0.08),),
    }
    assert all(name not in (item.a, item.b) for item in choice.comparisons for name in choice.barred)


def test_constraints_that_exclude_everything_are_an_error_that_lists_them():
    config = CONFIG.model_copy(update={"max_p95_ms": 1.0})
    with pytest.raises(RecipeError, match=r"tfidf: 9 where decision.max_p95_ms is 1; qlora: 9 where.*relax"):
        choice_of({"tfidf": exactly(0.5, 10), "qlora": exactly(0.9, 10)}, config=config)


def test_the_comparisons_are_distinct_and_cover_what_the_verdict_needs():
    outcomes = {
        "majority": exactly(0.2, 100),
        "tfidf": exactly(0.5, 100),
        "zero-shot": exactly(0.7, 100),
        "few-shot": exactly(0.8, 100),
        "knn-few-shot": exactly(0.78, 100),
        "qlora": exactly(0.9, 100),
    }
    pairs = [(item.a, item.b) for item in choice_of(outcomes).comparisons]
    assert pairs == [
        ("qlora", "tfidf"),
        ("qlora", "zero-shot"),
        ("qlora", "few-shot"),
    ]


def test_what_is_compared_does_not_depend_on_the_clock():
    """However the costs of the others fall out, the same number of comparisons is corrected for."""
    outcomes = {"tfidf": 0.5, "zero-shot": 0.7, "few-shot": 0.8, "qlora": 0.95}
    planned = set()
    for usd in (0.005, 0.05, 0.5):
        dev = [evaluation(name, exactly(share, 100), split="dev") for name, share in outcomes.items()]
        dev[1] = replace(dev[1], stated=StatedCost(usd / 1000, 0.0))
        planned.add(choice_of(dev).comparisons)
    assert len(planned) == 1


def simpler_rivals_of(**shares):
    outcomes = {name.replace("_", "-"): exactly(share, 100) for name, share in shares.items()}
    planned = choice_of(outcomes).comparisons
    return [(item.a, item.b) for item in planned if item.purpose is Purpose.SIMPLER_RIVAL]


def test_what_tunes_meets_the_best_on_dev_of_those_that_tune_less():
    rivals = {"tfidf": 0.3, "few_shot": 0.91, "embedding_head": 0.92}
    assert simpler_rivals_of(**rivals, setfit=0.95, encoder=0.94) == [("setfit", "embedding-head")]
    # a tuned encoder is less than a tuned language model
    assert simpler_rivals_of(**rivals, qlora=0.96, setfit=0.93) == []  # the runner-up: compared already


def test_what_tunes_nothing_meets_the_best_other_that_tunes_nothing():
    shares = {"tfidf": 0.3, "embedding_head": 0.91, "qlora": 0.92}
    assert simpler_rivals_of(**shares, few_shot=0.95) == [("few-shot", "embedding-head")]
    shares = {"tfidf": 0.3, "few_shot": 0.91, "qlora": 0.92}
    assert simpler_rivals_of(**shares, embedding_head=0.95) == [("embedding-head", "few-shot")]


def test_a_simpler_rival_that_dev_shows_to_be_worse_needs_no_test():
    assert simpler_rivals_of(tfidf=0.3, embedding_head=0.5, setfit=0.95, encoder=0.94) == []


def test_a_baseline_has_no_simpler_rival():
    assert simpler_rivals_of(tfidf=0.9, embedding_head=0.89, few_shot=0.88, qlora=0.87) == []


def dropped_from(dev, **expected):
    """Return what `choose` and `decide` are told of strategies that left the race after 60 of 100 dev examples."""
    left = [evaluation(name.replace("_", "-"), exactly(0.5, 60), split="dev") for name in expected]
    names = zip(left, expected.values(), strict=True)
    return left, [Dropped(item.strategy, 60, 100, dev[-1].strategy, 0.5, 0.9, value) for item, value in names]


def test_who_left_the_race_cannot_be_chosen_but_is_compared_by_the_expected_score():
    dev = evaluations({"tfidf": exactly(0.5, 100), "few-shot": exactly(0.7, 100), "qlora": exactly(0.9, 100)}, "dev")
    left, dropped = dropped_from(dev, zero_shot=0.89, knn_few_shot=0.8)
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="then", dropped=dropped, left=left)
    assert (choice.strategy, choice.within_margin) == ("qlora", ("qlora",))
    assert choice.runner_up == "zero-shot"
    assert {"zero-shot", "qlora"} in [{item.a, item.b} for item in choice.comparisons]
    assert not any("knn-few-shot" in (item.a, item.b) for item in choice.comparisons)


def test_the_verdict_after_a_race_is_the_one_without_it():
    """A cheaper strategy that left the race, and is as good on test, makes a tie as it would have made without."""
    outcomes = {"tfidf": exactly(0.5, 100), "zero-shot": exactly(0.6, 100), "qlora": exactly(0.9, 100)}
    dev = evaluations(outcomes, "dev")
    test = evaluations({"tfidf": exactly(0.4, 100), "zero-shot": exactly(0.9, 100), "qlora": exactly(0.9, 100)}, "test")
    whole = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="then")
    plain = decide(TASK, whole, dev=dev, test=test, config=CONFIG, prices=PRICES)
    stayed = [item for item in dev if item.strategy != "zero-shot"]
    left, dropped = dropped_from(dev, zero_shot=0.6)
    choice = choose(TASK, stayed, config=CONFIG, prices=PRICES, written_at="then", dropped=dropped, left=left)
    raced = decide(TASK, choice, dev=stayed, test=test, config=CONFIG, prices=PRICES, dropped=left)
    assert choice.comparisons == whole.comparisons
    assert (raced.verdict, raced.winner) == (plain.verdict, plain.winner) == (Verdict.TIE, "qlora")
    assert next(item.dev.n for item in raced.strategies if item.name == "zero-shot") == 60


def test_a_chosen_baseline_is_compared_with_the_best_language_model_first():
    outcomes = {"tfidf": exactly(0.9, 100), "zero-shot": exactly(0.5, 100), "qlora": exactly(0.85, 100)}
    pairs = [(item.a, item.b) for item in choice_of(outcomes).comparisons]
    assert pairs == [("qlora", "tfidf"), ("zero-shot", "tfidf")]


def test_macro_f1_is_chosen_on_when_it_is_the_metric():
    task = replace(TASK, metric=Metric.MACRO_F1)
    dev = evaluations({"zero-shot": exactly(0.6, 80), "qlora": exactly(0.9, 80)}, "dev")
    choice = choice_of(dev, task=task)
    assert choice.strategy == "qlora"
    assert dev[0].scores["macro_f1"].value < dev[1].scores["macro_f1"].value - 0.02


@pytest.mark.parametrize("broken", ["twice", "other ids", "nan", "none"])
def test_evaluations_that_cannot_be_compared_are_refused(broken):
    dev = [evaluation(name, exactly(0.5, 20), split="dev") for name in ("tfidf", "qlora")]
    made = {
        "twice": [dev[0], dev[0]],
        "other ids": [dev[0], evaluation("qlora", exactly(0.5, 20), split="other")],
        "nan": [dev[0], replace(dev[1], p95_ms=float("nan"))],
        "none": [],
    }[broken]
    with pytest.raises(RunError, match=r"twice|different dev examples|p95_ms of 'qlora'|no evaluations"):
        choice_of(made)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("truth", "n", "expected", "at_least"),
    [
        # equal: the cheaper of the two, most of the time
        ({"tfidf": 0.85, "qlora": 0.85}, 100, "tfidf", 0.6),
        ({"zero-shot": 0.9, "qlora": 0.9}, 200, "zero-shot", 0.65),
        # a large gap: the better one, nearly always
        ({"tfidf": 0.7, "qlora": 0.9}, 100, "qlora", 0.98),
        # a tiny dev set: the majority label is still not taken because it is cheap
        ({"majority": 0.25, "few-shot": 0.75}, 12, "few-shot", 0.95),
        # the better of several with a gap of five margins
        ({"tfidf": 0.6, "zero-shot": 0.7, "few-shot": 0.8, "qlora": 0.9}, 120, "qlora", 0.95),
    ],
)
def test_over_many_worlds_the_choice_behaves(truth, n, expected, at_least):
    rng = np.random.default_rng(8)
    picks = [choice_of(evaluations(drawn(truth, n, rng), "dev", intervals=False)).strategy for _ in range(150)]
    assert picks.count(expected) / 150 >= at_least

"""Every sentence on a decision, from decisions with known gaps."""

from dataclasses import replace

import pytest

from llmtl.decision.broken_limits import Broken, Constraint
from llmtl.decision.choice import choose
from llmtl.decision.decide import decide
from llmtl.decision.outcome import Halved, NoCost, NoLatency, Purpose
from llmtl.metrics.power import minimum_detectable_difference
from llmtl.report.constraint_words import constraints_broken
from llmtl.report.draw_words import drawn_once
from llmtl.report.rules import settles
from llmtl.report.sentences import purpose, summarize, told_before
from llmtl.strategy import Role
from llmtl.task import Draw, Metric
from tests.support.decision_worlds import CONFIG, PRICES, TASK, both, evaluation, evaluations, exactly, run


def said(*outcomes, **options):
    return summarize(run(*outcomes, **options))


def test_an_adopted_model_is_named_with_its_score_and_its_gain():
    found = said(*both(150, majority=0.2, tfidf=0.6, zero_shot=0.7, few_shot=0.8, qlora=0.94))
    assert found.reason.startswith("Adopt qlora: on 150 unseen examples qlora gets 94.0% right against 60.0% for tfidf")
    assert found.below_verdict.startswith("On 150 unseen examples qlora gets 94.0% right")
    assert "34.0 points better" in found.reason


def test_what_cannot_be_told_apart_is_said_so():
    dev = {"tfidf": exactly(0.5, 100), "zero-shot": exactly(0.8, 100), "qlora": exactly(0.9, 100)}
    test = {"tfidf": exactly(0.5, 100), "zero-shot": exactly(0.87, 100, offset=3), "qlora": exactly(0.9, 100)}
    assert "cannot be told apart" in said(dev, test).reason


def test_the_winner_of_a_tie_is_the_better_bet_and_says_whether_it_is_shown_better_than_the_baseline():
    n = 60
    dev = {"tfidf": exactly(0.6, n), "zero-shot": exactly(0.7, n), "qlora": exactly(0.85, n)}
    test = {"tfidf": exactly(0.6, n), "zero-shot": exactly(0.71, n, offset=15), "qlora": exactly(0.85, n)}
    found = said(dev, test).reason
    assert "Take qlora, the better bet on dev and test together and shown better than tfidf" in found


def test_a_rival_that_is_worth_no_more_is_said_to_be_just_that():
    right, slightly_worse = exactly(1, 5000), exactly(1 - 20 / 5000, 5000)
    dev = {"tfidf": exactly(0.5, 50), "zero-shot": exactly(0.8, 50), "qlora": exactly(0.9, 50)}
    found = said(dev, {"tfidf": exactly(0.5, 5000), "zero-shot": slightly_worse, "qlora": right})
    assert found.reason.startswith("qlora is not worth more than zero-shot: ")


def test_a_baseline_that_wins_is_no_worse():
    found = said(*both(200, majority=0.2, tfidf=0.97, zero_shot=0.6, qlora=0.93))
    assert found.reason.startswith(
        "Use tfidf, as none of zero-shot and qlora is shown better by more than the margin of 2.0 points: "
    )
    assert "which is shown better" in found.reason or "so it is" in found.reason


def on_model(dev, test, model, **options):
    """Return the sentences where every strategy but the baselines ran on a model."""
    measured = []
    for part, split in ((dev, "dev"), (test, "test")):
        made = evaluations(part, split, **(options if split == "test" else {}))
        measured.append([replace(item, model="" if item.role is Role.BASELINE else model) for item in made])
    choice = choose(TASK, measured[0], config=CONFIG, prices=PRICES, written_at="then")
    return summarize(decide(TASK, choice, dev=measured[0], test=measured[1], config=CONFIG, prices=PRICES))


def test_what_is_said_of_strategies_names_the_model_they_ran_on():
    found = on_model(*both(200, majority=0.25, tfidf=0.97, zero_shot=0.6, qlora=0.93), "org/Tiny-1B")
    assert found.reason.startswith("Use tfidf, as none of zero-shot and qlora on Tiny-1B is shown better")


def test_a_model_at_chance_cannot_do_the_task_and_nothing_is_said_of_others():
    found = on_model(*both(200, majority=0.25, tfidf=0.97, zero_shot=0.2, qlora=0.23), "org/Tiny-1B")
    assert found.reason.startswith(
        "Use tfidf, as Tiny-1B cannot do this task: none of zero-shot and qlora does better on test than chance, "
        "25.0% (the best of them reaches 23.0%). On 200 unseen examples"
    )
    assert not any("chance" in line for line in found.warnings)
    assert "language model" not in found.reason


def test_where_nothing_does_better_than_chance_the_labels_are_doubted():
    found = on_model(*both(200, tfidf=0.26, zero_shot=0.2, qlora=0.23), "org/Tiny-1B")
    told = [found.reason, *found.warnings]
    assert sum("Nor does tfidf: the labels may not follow from the inputs." in line for line in told) == 1


def test_a_model_that_fails_on_most_of_test_does_not_do_the_task():
    dev, test = both(100, majority=0.25, tfidf=0.9, zero_shot=0.8)
    found = on_model(dev, test, "Tiny-1B", failed=range(60))
    told = " ".join([found.reason, *found.warnings])
    assert "ero-shot on Tiny-1B failed on 60% of the test examples, so what the model can do is not known" in told
    assert "cannot do" not in told


@pytest.mark.parametrize("failed", [12, 20])
def test_prompts_that_failed_never_say_that_no_language_model_is_worth_it(failed):
    dev, test = both(22, majority=0.25, tfidf=0.95, zero_shot=0.9)
    found = on_model(dev, test, "Tiny-1B", failed=range(failed))
    assert found.warnings[0].startswith("zero-shot on Tiny-1B failed on ") or "so what the model can do" in found.reason
    assert "shown better by more than the margin" not in found.reason
    told = [found.reason, *found.warnings]
    assert any("what the model can do is not known" in line for line in told)


def test_a_third_of_answers_that_failed_is_the_reason_and_not_a_missing_advantage():
    dev, test = both(300, majority=0.25, tfidf=0.97, zero_shot=0.95)
    found = on_model(dev, test, "Tiny-1B", failed=range(100))
    assert found.reason.startswith("Use tfidf for now: zero-shot failed on 100 of 300 test examples, so what its model")
    assert "says little of what its model can do" in found.warnings[0]


def test_where_every_strategy_scores_zero_that_is_said():
    found = on_model(*both(100, tfidf=0.0, zero_shot=0.0), "Tiny-1B")
    assert found.reason.startswith("Every strategy scores 0 on 100 unseen examples")
    assert not any("scores 0" in line for line in found.warnings)


def test_what_is_too_close_to_call_says_how_many_more_examples_would_settle_it():
    outcomes = both(40, tfidf=0.75, qlora=0.85)
    more = run(*outcomes).more_test_examples
    found = said(*outcomes)
    assert found.reason.startswith("Too close to call: ")
    assert found.below_verdict.startswith("On 40 unseen examples")
    assert f"about {more} more labelled test examples" in found.reason
    assert "Test has only 40 examples: most true differences go unseen." in found.warnings
    # what test can find is told once, before the result
    assert not any("four times in five, smaller" in line for line in found.reasons)


def test_dev_and_test_that_contradict_each_other_are_told():
    found = said(
        {"tfidf": exactly(0.9, 60), "qlora": exactly(0.8, 60)}, {"tfidf": exactly(0.6, 100), "qlora": exactly(0.9, 100)}
    )
    assert "Dev and test disagree: dev chose tfidf" in found.reason


def test_without_a_language_model_the_baseline_is_used():
    assert "no strategy with a pre-trained model was measured" in said(*both(50, majority=0.2, tfidf=0.8)).reason
    assert "nothing to compare qlora with" in said(*both(50, qlora=0.9)).reason


def test_a_broken_constraint_is_told_with_its_value():
    dev = [evaluation("tfidf", exactly(0.5, 50), split="dev")]
    dev.append(evaluation("qlora", exactly(0.9, 50), split="dev", p95_ms=99))
    config = CONFIG.model_copy(update={"max_p95_ms": 50})
    choice = choose(TASK, dev, config=config, prices=PRICES, written_at="then")
    test = evaluations({"tfidf": exactly(0.5, 50)}, "test")
    found = summarize(decide(TASK, choice, dev=dev, test=test, config=config, prices=PRICES))
    why = "it takes 99 ms at the 95th percentile, and decision.max_p95_ms is 50"
    assert found.why_not == {"qlora": why}
    assert f"qlora could not be chosen: {why}." in found.reasons
    assert any("constraints exclude" in line for line in found.would_change)
    assert "no strategy with a pre-trained model meets the constraints (qlora excluded)" in found.reason


def test_what_nobody_measured_is_said_not_to_be_known():
    broken = [Broken(Constraint.MEMORY_GIB, 2, None), Broken(Constraint.VRAM_GIB, 16, 24)]
    assert constraints_broken(broken) == (
        "its memory is not known, and decision.max_memory_gib is 2; it takes 24 GiB of GPU memory, and "
        "decision.max_vram_gib is 16"
    )


def test_warnings_name_what_is_missing_and_what_failed():
    assert any("No baseline" in line for line in said(*both(150, zero_shot=0.6, qlora=0.9)).warnings)
    dev = [evaluation("tfidf", exactly(0.7, 40), split="dev"), evaluation("qlora", exactly(1, 40), split="dev")]
    test = [evaluation("tfidf", exactly(0.7, 40)), evaluation("qlora", exactly(1, 40), failed=range(3))]
    choice = choose(TASK, dev, config=CONFIG, prices=PRICES, written_at="then")
    found = summarize(decide(TASK, choice, dev=dev, test=test, config=CONFIG, prices=PRICES))
    assert "qlora failed on 3 of 40 test examples; failures count as errors." in found.warnings


@pytest.mark.parametrize("n", [1, 6])
def test_a_test_of_a_handful_of_examples_is_said_to_show_little(n):
    outcomes = {"majority": exactly(0, n), "zero-shot": exactly(0, n), "qlora": exactly(1, n)}
    found = said(outcomes, outcomes)
    assert any(line.startswith(f"Test has only {n} example") for line in found.warnings)


def test_what_prediction_files_leave_open_is_told():
    notes = (Halved(200, 190), NoCost(), NoLatency(), NoLatency(("one", "two")))
    halved, cost, none, some = summarize(replace(run(*both(50, majority=0.2, tfidf=0.8)), cautions=notes)).warnings
    assert "random half of the examples (200) and tested on the other half (190)" in halved
    assert "give no cost, so no strategy counts as cheaper" in cost
    assert none == "The files give no latency, so none is known."
    assert some == "The latency of one, two is not known: the rows have no latency_ms."


@pytest.mark.parametrize(
    ("target", "note"), [(0.8, "met: "), (0.88, "not shown: "), (0.92, "missed: "), (0.99, "even")]
)
def test_the_target_note_says_which_and_why(target, note):
    found = said(*both(150, tfidf=0.5, qlora=0.9), task=replace(TASK, target=target))
    assert note in found.target_note
    assert f"The target is {found.target_note}." in found.reasons
    assert said(*both(150, tfidf=0.5, qlora=0.9)).target_note is None


@pytest.mark.parametrize(
    ("chosen", "searched", "told"),
    [
        (0.012, None, "by about 1.2 points (the choice repeated"),
        (0.012, 0.02, "by about 3.2 points: about 2.0 points its own search there, about 1.2 points the choice among"),
        (0.0003, -0.01, "by less than 0.1 points (the choice repeated"),
        (-0.01, 0.004, "by about 0.4 points (the search repeated"),
        (0.0, 0.0, None),
        (None, None, None),
    ],
)
def test_what_flatters_the_dev_score_is_never_nothing(chosen, searched, told):
    decision = run(*both(150, tfidf=0.5, qlora=0.9))
    choice = replace(decision.choice, optimism=chosen, search_optimism=searched)
    lines = [line for line in summarize(replace(decision, choice=choice)).reasons if "flatters" in line]
    assert [told in line for line in lines] == ([] if told is None else [True])
    assert not any("0.0 points" in line for line in lines)


@pytest.mark.parametrize(
    ("name", "draw", "done"),
    [
        ("qlora", Draw.TRAINING, "trained 3 times"),
        ("qlora", Draw.NONE, "trained 3 times"),
        ("tfidf", Draw.TRAINING, "fitted 3 times"),
        ("few-shot", Draw.DEMONSTRATIONS, "asked with 3 draws of demonstrations"),
        ("zero-shot", Draw.REPLIES, "asked 3 times"),
        ("zero-shot", Draw.UNKNOWN, "measured 3 times"),
    ],
)
def test_what_was_repeated_is_told_as_what_it_is(name, draw, done):
    decision = run(*both(150, tfidf=0.5, zero_shot=0.6, few_shot=0.7, qlora=0.9))
    repeats = [
        replace(item, test=replace(item.test, seeds=3, draw=draw)) if item.name == name else item
        for item in decision.strategies
    ]
    reasons = summarize(replace(decision, strategies=tuple(repeats))).reasons
    assert sum(f"{name} was {done}: its test score is the mean" in line for line in reasons) == 1


def test_whose_interval_is_widened_for_other_draws_is_told():
    decision = run(*both(150, tfidf=0.5, few_shot=0.7, qlora=0.9))
    assert drawn_once(decision) == []
    once = [
        item if item.name == "tfidf" else replace(item, test=replace(item.test, draw_sd=0.05))
        for item in decision.strategies
    ]
    assert drawn_once(replace(decision, strategies=tuple(once[:2]))) == [
        f"{once[1].name} was drawn once. Its interval is widened by what another draw was seen to move elsewhere."
    ]
    [both_told] = drawn_once(replace(decision, strategies=tuple(once)))
    assert "few-shot and qlora were drawn once. Their intervals are widened" in both_told


def test_the_volume_where_costs_cross_is_told_with_the_expected_one():
    [line] = [line for line in said(*both(150, tfidf=0.5, few_shot=0.9, qlora=0.9)).would_change if "requests" in line]
    assert line == "Above 167,224 requests in all, qlora is cheaper than few-shot; 120,000 are expected."


def test_macro_f1_is_no_share_of_examples():
    found = said(*both(160, tfidf=0.5, zero_shot=0.6, qlora=0.95), task=replace(TASK, metric=Metric.MACRO_F1))
    assert "macro-F1 of 0.95" in found.reason


def test_every_purpose_of_a_comparison_has_words_of_its_own():
    assert len({purpose(code, "qlora") for code in Purpose}) == len(Purpose)


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.CHRF])
def test_what_test_can_show_is_told_before_the_run(metric):
    told = told_before(400, metric=metric, alpha=0.05)
    least = minimum_detectable_difference(400, discordance=0.2)
    assert (f"{100 * least:.1f} points" if metric is Metric.ACCURACY else f"{least:.3f}") in told
    assert ("roughly" in told) == (metric is Metric.CHRF)
    assert "cannot show any" in told_before(5, metric=metric, alpha=0.05)


def test_no_chance_is_told_as_certain():
    assert settles(0.9997).endswith("the chance is more than 99%")
    assert settles(0.52).endswith("the chance is 52%")

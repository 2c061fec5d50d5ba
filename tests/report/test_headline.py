from dataclasses import replace

import pytest

from llmtl.decision.capability import AllZero
from llmtl.decision.config import Goal
from llmtl.decision.model_care import ToyModel
from llmtl.decision.outcome import Failures, Rule, Verdict
from llmtl.decision.promise import Automated, Promise
from llmtl.kinds.multi_label import MULTI_LABEL
from llmtl.report.brief import brief_of, without_p
from llmtl.report.headline import headline, how_right, plain, times
from llmtl.report.sentences import summarize
from llmtl.report.titled import titled, titled_decision, titles
from llmtl.task import Metric
from tests.support.report_factory import make_content, only_baselines


def decision_of(*, score=0.75, target=0.8, met=False, winner="qlora", model="smollm2", **changes):
    """Return a decision whose winner scores so much on test and runs on that model, strategies under their titles."""
    decision = make_content().decision
    results = tuple(
        replace(item, model=model, test=replace(item.test, value=score)) if item.name == winner else item
        for item in decision.strategies
    )
    changed = replace(
        decision, strategies=results, winner=winner, target=target, target_met=met, **{"rule": Rule.BETTER} | changes
    )
    return titled_decision(changed)


CODES = {title: name for name, title in titles(item.name for item in make_content().decision.strategies).items()}


def said(**changes):
    return headline(decision_of(**changes), CODES)


def test_adopt_with_a_missed_target_is_one_sentence():
    assert said() == "Fine-tune SmolLM2-135M-Instruct (QLoRA): right 75 times in 100, short of your target of 80"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"score": 0.91, "met": True}, "right 91 times in 100, above your target of 80"),
        ({"score": 0.82, "met": None}, "right 82 times in 100, not yet shown to reach your target of 80"),
        ({"target": None, "met": None}, "right 75 times in 100"),
        ({"score": 0.0105, "target": None, "met": None}, "right 1 time in 100"),
        ({"score": 0.7964, "met": False}, "right 79.6 times in 100, short of your target of 80"),
        ({"score": 0.82, "target": 0.825}, "right 82 times in 100, short of your target of 82.5"),
        ({"score": 0.9996, "met": True}, "right 99.96 times in 100, above your target of 80"),
        ({"score": 1.0, "met": True}, "right 100 times in 100, above your target of 80"),
        ({"metric": "macro_f1"}, "macro-F1 0.75, short of your target of 0.80"),
        ({"metric": Metric.NDCG_10.value, "score": 0.7964}, "nDCG@10 0.796, short of your target of 0.80"),
        ({"metric": "exact_match"}, "exactly right 75 times in 100, short of your target of 80"),
    ],
)
def test_the_headline_says_how_right_and_where_the_target_is(changes, expected):
    assert said(**changes) == f"Fine-tune SmolLM2-135M-Instruct (QLoRA): {expected}"


@pytest.mark.parametrize(
    ("changes", "begin"),
    [
        ({"verdict": Verdict.TIE, "rule": Rule.TIED}, "Fine-tune SmolLM2-135M-Instruct (QLoRA), in a tie: right 75"),
        (
            {"verdict": Verdict.BASELINE, "rule": Rule.NOT_WORTH_MORE, "winner": "tfidf"},
            "Use TF-IDF and logistic regression, as no pre-trained model tried is worth more: right 75",
        ),
        (
            {"verdict": Verdict.BASELINE, "rule": Rule.NO_LLM, "winner": "tfidf"},
            "Use TF-IDF and logistic regression: right 75",
        ),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.OPEN},
            "Too close to call. For now, fine-tune SmolLM2-135M-Instruct (QLoRA): right 75",
        ),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.CONTRADICTED},
            "No clear winner yet. For now, fine-tune SmolLM2-135M-Instruct (QLoRA): right 75",
        ),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.ALONE},
            "Nothing to compare with yet. For now, fine-tune SmolLM2-135M-Instruct (QLoRA): right 75",
        ),
        (
            {"rule": Rule.LOWER_TOTAL},
            "Fine-tune SmolLM2-135M-Instruct (QLoRA): the lowest expected cost in all, right 75",
        ),
        ({"model": "pocket-llama"}, "Fine-tune the toy model pocket-llama (QLoRA): right 75"),
        ({"model": ""}, "Fine-tune the model (QLoRA): right 75"),
        ({"cautions": (AllZero(96),)}, "Nothing that was tried can do this task yet: every score is 0"),
    ],
)
def test_every_verdict_has_a_headline_in_human_words(changes, begin):
    assert said(**changes).startswith(begin)


@pytest.mark.parametrize(
    "caution", [ToyModel("pocket-llama", ("qlora",), wins=False), Failures("few-shot", failed=60, n=96)]
)
def test_a_toy_or_failed_prompts_never_become_a_verdict_on_language_models(caution):
    changes = {"verdict": Verdict.BASELINE, "rule": Rule.NOT_WORTH_MORE, "winner": "tfidf", "cautions": (caution,)}
    assert said(**changes) == (
        "Use TF-IDF and logistic regression for now: right 75 times in 100, short of your target of 80"
    )


def test_a_baseline_among_baselines_is_not_praised_above_models_that_nobody_tried():
    assert "pre-trained" not in headline(only_baselines().decision)


def test_strategies_of_prediction_files_are_called_as_their_files():
    assert headline(replace(make_content().decision, winner="gpt-5-mini")).startswith("Use gpt-5-mini: not measured")
    assert headline(make_content().decision).startswith("Use qlora: right 96 times in 100")


def test_what_can_be_left_to_it_comes_first_where_it_was_chosen_by_that():
    title = titles(["qlora"])["qlora"]
    shown = Automated(
        strategy=title, promise=Promise.SHOWN, n=96, level=0.05, needed=59, threshold=0.8, answered=46, share=0.48
    )
    content = make_content()
    choice = replace(content.decision.choice, goal=Goal.AUTOMATE)
    changes = {"choice": choice, "rule": Rule.LARGER_SHARE, "max_error_automated": 0.05}
    told = headline(replace(decision_of(**changes), automation=(shown,)), CODES)
    assert ": 48 of 100 inputs can be left to it alone, with at most 5% of them wrong, right 75 times in 100" in told
    assert ": nothing can be left to it alone yet, right 75 times in 100" in headline(decision_of(**changes), CODES)


def test_several_labels_are_right_together():
    assert how_right(Metric.ACCURACY, 0.5, kind=MULTI_LABEL) == "exactly right 50 times in 100"


def test_numbers_never_round_to_all_none_or_the_target():
    assert [times(value) for value in (0.0, 0.001, 0.5, 0.996, 1.0)] == ["0", "0.1", "50", "99.6", "100"]
    assert plain(0.7996, 0.8) == "0.7996"


def test_titles_reach_every_part_of_a_report_and_names_stay_beside_them():
    content = titled(make_content())
    assert content.decision.winner == "Fine-tuning with QLoRA"
    assert content.codes["Fine-tuning with QLoRA"] == "qlora"
    assert {item.strategy for item in content.evaluations} == set(content.fit_findings) <= set(content.codes)
    assert {item.a for item in content.decision.comparisons} == {"Fine-tuning with QLoRA"}
    assert content.decision.task == make_content().decision.task


def test_labels_that_read_like_strategies_stay_labels():
    content = make_content(labels=("encoder", "hosted", "qlora"))
    assert titled(content).task.labels == ("encoder", "hosted", "qlora")
    assert {item.reference for item in titled(content).test_examples} == {"encoder", "hosted", "qlora"}


def test_two_strategies_of_one_title_keep_their_names(monkeypatch):
    monkeypatch.setattr("llmtl.report.titled.title", lambda name: "Same" if name in ("a", "b") else name)
    assert titles(["a", "b", "c"]) == {"a": "a", "b": "b", "c": "c"}


def test_the_brief_has_three_sentences_and_ends_with_the_next_step():
    decision = decision_of()
    brief = brief_of(decision, summarize(decision), CODES)
    assert len(brief.sentences) == 3
    assert len(brief.reasons) <= 3
    assert brief.sentences[0].startswith("On 96 unseen examples it was right 75 times in 100 (95% interval ")
    assert "the best baseline, TF-IDF and logistic regression, was right" in brief.sentences[0]
    assert brief.next_step.startswith("It is the best that was found, and not yet good enough. Next: ")


def test_who_was_ahead_of_the_recommended_one_is_named_in_the_brief():
    decision = decision_of()
    lead = max(item.test.value for item in decision.strategies) - decision.result(decision.winner).test.value
    told = " points ahead on test, which may be chance."
    assert brief_of(decision, summarize(decision), CODES).sentences[1].endswith(f"{100 * lead:.1f}{told}")
    wide = replace(decision, margin=lead)
    assert "ahead" not in brief_of(wide, summarize(wide), CODES).sentences[1]


@pytest.mark.parametrize(
    ("changes", "step"),
    [
        ({"score": 0.9, "met": True}, "Next: serve it with llmtl serve, and try it in the playground."),
        ({"target": None, "met": None}, "No target was set. Next: decide whether being right 75 times in 100 is"),
        ({"score": 0.81, "met": None}, "Next: label more test examples to show that it reaches the target"),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.CONTRADICTED, "more_test_examples": None},
            "Next: label more examples, or use the better bet",
        ),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.CONTRADICTED, "more_test_examples": 200},
            "Next: label about 200 more test examples and decide again.",
        ),
        (
            {"verdict": Verdict.INCONCLUSIVE, "rule": Rule.CONTRADICTED, "more_test_examples": 8285},
            "Settling it would take about 8,285 more test examples. Next: use the better bet",
        ),
    ],
)
def test_the_next_step_follows_from_verdict_and_target(changes, step):
    hangs_on = (("Prompt with examples", "Fine-tuning with QLoRA"),)
    decision = replace(decision_of(**changes), hangs_on=hangs_on)
    assert brief_of(decision, summarize(decision), CODES).next_step.startswith(step)


def test_p_values_are_left_to_the_appendix():
    assert without_p("a (3.0 points better, 95% interval 1.2 to 7.2, p = 0.012). b p < 0.001.") == (
        "a (3.0 points better, 95% interval 1.2 to 7.2). b."
    )

"""What is said on the verdict without the labels that look wrong, and how it is kept."""

import json

import pytest

from llmtl.checks.label_noise import check_label_noise
from llmtl.decision.outcome import Verdict
from llmtl.decision.sensitivity import NoAnswer, NoiseSensitivity, NotRefitted, Rescored, Unchecked, Unfitted
from llmtl.report.noise import noise_from_json, noise_to_json, sentence
from llmtl.task import Example
from tests.support.report_factory import make_content

DECISION = make_content().decision  # adopt, qlora
NO_TIME = {"qlora": NotRefitted(Unfitted.NO_TIME, takes_seconds=540.0, left_seconds=60.0)}


def found(**changes):
    values = {"dev": ("dev-1",), "test": ("test-3", "test-4"), "verdict": Verdict.ADOPT, "winner": "qlora"}
    return NoiseSensitivity(**values | changes)


def test_the_same_verdict_is_said_to_be_the_same():
    assert sentence(found(train=1), DECISION) == (
        "Without the 1 train, 1 dev and 2 test examples whose labels look wrong, the verdict is the same: adopt, qlora."
    )
    one = found(dev=(), test=("test-3",))
    assert sentence(one, DECISION).startswith("Without the 1 test example whose label looks wrong, the verdict is")


def test_another_verdict_asks_to_have_those_labels_read_over():
    told = sentence(found(verdict=Verdict.BASELINE, winner="tfidf", changed=True), DECISION)
    assert told.endswith("would be baseline, tfidf, in place of adopt, qlora: have those labels read over.")


def test_what_was_fitted_again_and_what_was_not_is_said():
    scores = (Rescored("tfidf", 0.5, 0.6, True), Rescored("crf", 0.5, 0.6, True), Rescored("majority", 0.1, 0.1))
    told = sentence(found(scores=scores, not_refitted=NO_TIME), DECISION)
    assert " 2 strategies were fitted again without those of train." in told
    assert told.endswith(
        "Not fitted again: qlora, as that would take about 9.0 minutes, more than are left; raise "
        "label_noise.refit_minutes."
    )
    fewer = sentence(found(scores=(Rescored("qlora", 0.9, 0.9, True, 3, 1),)), DECISION)
    assert "1 strategy was fitted again without those of train with fewer training seeds" in fewer
    paid = found(not_refitted={"hosted": NotRefitted(Unfitted.PAID)})
    assert "hosted, as its provider would charge for every request again" in sentence(paid, DECISION)


def test_no_suspect_in_dev_or_test_is_said():
    assert sentence(NoiseSensitivity(), DECISION) == (
        "No label of dev or test looks wrong, so the verdict rests on none."
    )
    assert "without the 1 train example whose label does nothing was fitted again: qlora, as" in sentence(
        NoiseSensitivity(train=1, not_refitted=NO_TIME), DECISION
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            NoAnswer(Unchecked.OTHER_KIND, kind="extraction"),
            "only labels of classification tasks are checked, and this",
        ),
        (NoAnswer(Unchecked.FEW_LABELS), "fewer than two labels have 5 examples in train and dev: too little to doubt"),
        (NoAnswer(Unchecked.WEAK_CLASSIFIER, skill=0.31), "a bag of words gets only 31% of the way from chance"),
        (NoAnswer(Unchecked.TOO_FEW_LEFT), "too few dev or test examples would be left"),
    ],
)
def test_why_there_is_no_answer_is_said(answer, said):
    told = sentence(NoiseSensitivity(answer), DECISION)
    assert told.startswith("Not checked: ")
    assert said in told


def test_the_checks_say_by_a_code_why_labels_were_not_doubted():
    examples = [Example(f"e{i}", f"word{i % 3} {i}", "ab"[i % 2]) for i in range(40)]
    [few] = check_label_noise(examples[:3])
    assert Unchecked(few.code) is Unchecked.FEW_LABELS
    [weak] = check_label_noise([Example(f"e{i}", "the same", "ab"[i % 2]) for i in range(40)])
    assert (Unchecked(weak.code), weak.value) == (Unchecked.WEAK_CLASSIFIER, 0.0)


def test_values_come_back_from_json_and_those_of_version_1_in_their_words():
    noise = found(not_refitted=NO_TIME, scores=(Rescored("tfidf", 0.5, 0.6, True),))
    document = json.loads(json.dumps(noise_to_json(noise, DECISION)))
    assert noise_from_json(document) == noise
    assert document["sentence"] == sentence(noise, DECISION)
    old = {**document, "how": "made up", "not_refitted": {"qlora": "that would take 9 minutes"}, "unchecked": None}
    del old["schema_version"]
    assert sentence(noise_from_json(old), DECISION).endswith("qlora, as that would take 9 minutes.")
    assert sentence(noise_from_json(old | {"unchecked": "too few"}), DECISION) == "Not checked: too few."

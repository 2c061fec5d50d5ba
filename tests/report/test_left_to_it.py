"""How much can be left to a strategy, as the report says and draws it."""

import re
from dataclasses import replace

import pytest

from llmtl.decision.automation import with_automation, with_ladders
from llmtl.decision.config import DecisionConfig
from llmtl.decision.promise import Automated, Promise, UnknownInputs
from llmtl.metrics.calibration import CalibrationTest
from llmtl.metrics.recalibration import SequenceCalibration
from llmtl.report import wording
from llmtl.report.html import render_html
from llmtl.report.left_to_it import left_to
from llmtl.report.markdown_text import markdown
from llmtl.report.promises import as_chance, sentences, threshold
from llmtl.task import Metric
from tests.support.report_factory import make_content

SHOWN = Automated(
    strategy="qlora",
    promise=Promise.SHOWN,
    n=600,
    level=0.05,
    needed=59,
    threshold=0.915,
    answered=426,
    share=0.71,
    share_ci95=(0.67, 0.745),
    errors=7,
    at_most=0.05,
    auroc=0.9,
)


def with_promises(content, **unknown):
    config = DecisionConfig()
    dev, test = ([item for item in content.evaluations if item.split == split] for split in ("dev", "test"))
    decision = content.decision
    choice = with_ladders(decision.choice, dev, test[0].n, metric=Metric.ACCURACY, config=config)
    decision = with_automation(replace(decision, choice=choice), test, config=config, **unknown)
    return replace(content, decision=decision)


def told(**changes):
    content = make_content()
    decision = replace(
        content.decision, winner="qlora", automation=(replace(SHOWN, **changes),), max_error_automated=0.05
    )
    return replace(content, decision=decision)


def test_the_sentence_states_share_threshold_limit_and_what_test_saw():
    assert sentences(told().decision) == [
        "71% of inputs (67% to 74%) can be left to qlora alone, those with a confidence of at least 0.92: at most 5% "
        "of these answers are wrong, with 95% confidence (7 of 426 answers on test were wrong). The rest go to "
        "a person."
    ]


def test_one_that_may_answer_everything_is_said_so():
    (said,) = sentences(told(threshold=0.0, answered=600, share=1.0, errors=12).decision)
    assert said == (
        "Every answer of qlora can be used alone: at most 5% are wrong, with 95% confidence "
        "(12 of 600 answers on test were wrong)."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"promise": Promise.NOT_SHOWN, "at_most": 0.091}, "so the true share may be 9.1% and at most 5% is allowed"),
        ({"promise": Promise.NO_CONFIDENCE}, "its predictions do not say how sure they are"),
        ({"promise": Promise.TOO_FEW, "n": 40}, "59 answers without any error to show at most 5%, and test has 40"),
        ({"promise": Promise.UNORDERED, "auroc": 0.512}, r"surer where it is right \(AUROC 0.512\)"),
        ({"promise": Promise.NO_THRESHOLD}, "errs too often at any confidence for test to confirm"),
        ({"promise": Promise.BY_DEGREES}, "such answers are better or worse"),
    ],
)
def test_where_nothing_can_be_promised_the_sentence_says_why(changes, said):
    (sentence,) = sentences(told(**changes).decision)
    assert sentence.startswith("How much can be left to qlora alone is not shown: ")
    assert re.search(said, sentence)


def test_a_single_wrong_answer_takes_a_singular_verb():
    (said,) = sentences(told(errors=1).decision)
    assert "(1 of 426 answers on test was wrong)" in said
    (said,) = sentences(told(promise=Promise.NOT_SHOWN, errors=1, at_most=0.091).decision)
    assert ", 1 was wrong, " in said


def test_a_share_just_above_the_limit_is_told_from_it():
    (said,) = sentences(told(promise=Promise.NOT_SHOWN, at_most=0.0503).decision)
    assert "the true share may be 5.03% and at most 5% is allowed" in said


def test_the_threshold_is_never_written_as_one():
    assert [threshold(value) for value in (0.5, 0.915, 0.99961, None)] == ["0.50", "0.92", "0.9996", wording.NOTHING]


def test_a_decision_that_did_not_ask_has_no_section():
    content = make_content()
    assert left_to(content) is None
    assert 'id="automation"' not in render_html(content)
    assert "How much can be left" not in markdown(content)


def test_page_and_markdown_have_a_row_for_every_strategy_and_the_page_a_curve():
    content = with_promises(make_content())
    page, text = render_html(content), markdown(content)
    left = left_to(content)
    told = {item.strategy for item in content.evaluations}
    assert {row.name for row in left.rows} - told == {"2 others"}
    assert len({row.name for row in left.rows} & told) == len(told) - 2
    assert left.sentence in text
    section = page[page.index('id="automation"') :].split("</section>")[0]
    assert section.count('<th scope="row"') == len(left.rows)
    assert section.count("risk-wide")
    assert section.count("risk-narrow")
    for row in left.rows:
        assert f"| {row.name} | {'yes' if row.shown else 'no'}" in text


def test_unknown_inputs_have_a_column_where_there_are_any():
    unknown = UnknownInputs(200, 0.93, 0.88, (0.83, 0.92))
    content = told(unknown=unknown)
    text = markdown(content)
    assert "| unknown inputs rejected |" in text
    assert "88% (83% to 92%), AUROC 0.930" in text
    assert "Of 200 inputs without a right answer, qlora leaves 88% to a person." in text
    assert "Unknown inputs rejected" in render_html(content)


def test_whether_a_confidence_is_a_chance_is_said_of_the_winner():
    found = CalibrationTest(n=426, confidence=0.84, right=0.83, ece=0.02, z=0.4, p=0.69)
    assert as_chance("qlora", found) == (
        "Nothing speaks against reading the confidence of qlora as its chance of being right: it is on test 84% on "
        "average, and 83% of answers are right (expected calibration error 2%; Spiegelhalter's test, p = 0.690)."
    )
    assert as_chance("qlora", replace(found, right=0.6, p=1e-6)).startswith(
        "Do not read the confidence of qlora as its chance of being right: it is on test 84% on average, and 60% of"
    )
    assert "p < 0.001" in as_chance("qlora", replace(found, p=1e-6))
    low = as_chance("qlora", replace(found, confidence=0.54, p_mean=1e-4))
    assert low.startswith("Do not read")
    assert "tested by its mean and by Spiegelhalter's z, p < 0.001" in low
    content = with_promises(make_content())
    said = next(item for item in content.decision.automation if item.strategy == content.decision.winner)
    assert as_chance(said.strategy, said.calibrated) in left_to(content).further


def test_how_written_answers_get_a_confidence_is_said_where_there_are_any():
    content = with_promises(make_content())
    assert "Platt scaling" not in markdown(content)
    rows = [replace(item, calibration=SequenceCalibration(1.0, 0.0)) for item in content.decision.automation]
    written = replace(content, decision=replace(content.decision, automation=tuple(rows)))
    for text in (markdown(written), render_html(written)):
        assert "turned into the chance that the whole answer is right (Platt scaling)" in text

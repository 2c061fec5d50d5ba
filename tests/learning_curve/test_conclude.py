from llmtl.learning_curve import CURVES, MeasuredCurve, conclude
from tests.support.curve_worlds import exactly, power_law


def curve(a: float, b: float, strategy: str) -> MeasuredCurve:
    return exactly([1 - error for error in power_law(a, b)], strategy=strategy)


def concluded(**changes):
    given = {"metric": "accuracy", "target": None, "margin": 0.02, "usd_per_label": None} | changes
    return conclude(given.pop("measured", [curve(2.0, 0.4, "qlora")]), **given)


def test_everything_comes_back_from_json_the_same() -> None:
    prompting = [exactly([0.7], strategy="zero-shot", sizes=[400])]
    curves = concluded(target=0.9, prompting=prompting, skipped={"few-shot": "no time"})
    assert CURVES.validate_json(CURVES.dump_json(curves)) == curves
    assert curves.levels == {"zero-shot": 0.7}
    assert curves.crossovers[0].rival == "zero-shot"


def test_the_best_prompting_strategy_that_can_be_overtaken_is_the_rival() -> None:
    learner, few = curve(2.0, 0.4, "qlora"), exactly([0.75, 0.75, 0.76, 0.75, 0.76], strategy="few-shot")
    level = exactly([0.7], strategy="zero-shot", sizes=[400])
    curves = concluded(measured=[few, learner], prompting=[level, few])
    assert [item.rival for item in curves.crossovers] == ["few-shot"]  # flat, and still a rival


def test_a_curve_without_a_forecast_overtakes_nobody() -> None:
    broken = exactly([0.3, 0.31, 0.32, 0.33, 0.6], strategy="qlora")
    level = exactly([0.7], strategy="zero-shot", sizes=[400])
    assert concluded(measured=[broken], prompting=[level]).crossovers == ()


def test_enough_is_the_size_from_which_on_scores_stay_within_the_margin() -> None:
    assert concluded(measured=[exactly([0.5, 0.7, 0.79, 0.80, 0.80])]).enough == {"tfidf": 100}
    assert concluded(measured=[exactly([0.5, 0.6, 0.7, 0.75, 0.80])]).enough == {}


def test_the_sentence_is_that_of_the_best_curve_with_a_forecast() -> None:
    better = exactly([0.30, 0.30, 0.85, 0.86, 0.90], strategy="tfidf")  # higher, but no power law
    curves = concluded(measured=[better, curve(2.0, 0.4, "qlora")])
    assert "qlora" in curves.sentence
    assert (
        concluded(measured=[], skipped={"tfidf": "too few"}).sentence
        == "What more labels would bring was not measured."
    )


def test_the_sentence_is_that_of_the_winner_and_not_of_a_better_loser() -> None:
    measured = [curve(2.0, 0.4, "qlora"), curve(3.0, 0.4, "tfidf")]
    assert concluded(measured=measured).sentence.count("qlora")
    curves = concluded(measured=measured, focus=("tfidf", "qlora"))
    assert curves.best is not None
    assert curves.best.strategy == "tfidf"
    assert curves.sentence == curves.advice["tfidf"].text
    assert CURVES.validate_json(CURVES.dump_json(curves)) == curves


def test_a_winner_without_a_curve_is_told_before_the_rival_s_advice() -> None:
    level = exactly([0.7], strategy="zero-shot", sizes=[400])
    of_rival = {"measured": [curve(2.0, 0.4, "qlora")], "prompting": [level]}
    found = concluded(**of_rival, focus=("zero-shot", "qlora"))
    assert found.sentence == f"zero-shot needs no training examples. {found.advice['qlora'].text}"
    late = concluded(**of_rival, focus=("encoder", "qlora"), skipped={"encoder": "no time"})
    assert late.sentence.startswith("No curve for encoder: no time. ")

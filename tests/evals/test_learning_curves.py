"""The curves by which forecasts are judged are what their README says, and judging is right on cases done by hand."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from statsmodels.api import OLS, add_constant

FOLDER = Path(__file__).parents[2] / "evals" / "learning_curves"
RESULT = FOLDER.parent / "results" / "learning_curves.json"
MODELS_RESULT = RESULT.with_name("learning_curves_models.json")
MODULES = (
    "worlds",
    "real",
    "real_curves",
    "rules",
    "summary",
    "simulate",
    "made_tasks",
    "prompted_and_tuned",
    "written_results",
)
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.syspath_prepend(FOLDER.parent)
    monkeypatch.setattr(sys, "path", [*sys.path])
    import made_tasks
    import prompted_and_tuned
    import real
    import real_curves
    import rules
    import simulate
    import summary
    import worlds

    yield SimpleNamespace(
        rules=rules,
        simulate=simulate,
        summary=summary,
        worlds=worlds,
        real=real,
        real_curves=real_curves,
        made=made_tasks,
        models=prompted_and_tuned,
    )
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.mark.parametrize("kind", ["power", "floor", "saturation", "kink", "level"])
def test_worlds_keep_to_the_design(sim, kind):
    for number in range(10):
        world = sim.worlds.make_world(kind, np.random.default_rng((3, number)))
        sizes = world.measured.sizes
        errors = np.array([world.error(size) for size in np.geomspace(sizes[0], 16 * sizes[-1], 50)])
        assert 0.3 <= errors[0] <= 0.8
        assert (np.diff(errors) <= 1e-12).all()
        assert 4 <= len(sizes) <= 5
        assert 100 <= world.available <= 5000
        assert 100 <= world.measured.examples <= 2000
        spread = np.sqrt(np.diag(world.measured.covariance) + (0.05 * errors[0]) ** 2)
        seen = np.array(world.measured.errors)
        assert (np.abs(seen - [world.error(size) for size in sizes]) < 5 * spread).all()
        if kind == "level":
            assert world.needs == float("inf")
        elif 1 - world.target < world.error(sizes[0]) - 1e-9:
            assert world.error(world.needs) == pytest.approx(1 - world.target, abs=0.005)
        if kind in ("floor", "saturation"):
            assert errors[-1] >= 0.02


def test_the_naive_line_and_its_band_are_ordinary_regression(sim):
    world = sim.worlds.make_world("power", np.random.default_rng(4))
    sizes, target = world.measured.sizes, 0.99
    found = sim.rules.log_linear(world.measured, target)
    line = OLS(1 - np.array(world.measured.errors), add_constant(np.log(sizes))).fit()
    at = add_constant(np.log([2 * sizes[-1], 4 * sizes[-1]]))
    expected = np.clip(line.get_prediction(at).summary_frame(alpha=0.2), 0, 1)
    for row, factor in enumerate((2, 4)):
        low, middle, high = found.at[factor]
        assert (low, middle, high) == pytest.approx(
            tuple(expected.iloc[row][["obs_ci_lower", "mean", "obs_ci_upper"]]), abs=1e-9
        )


def made(sim, *, needed, needs, low=0.6, high=0.8, truth=0.75, noise=0.0):
    said = {"llmtl": sim.rules.Foretold(dict.fromkeys((2, 4), (low, 0.7, high)), needed)}
    both = dict.fromkeys((2, 4), truth)
    return sim.summary.Outcome("power", "power", None, both, dict.fromkeys((2, 4), noise), 100, needs, said)


@pytest.mark.parametrize(
    ("needed", "needs", "held"),
    [
        ((200, 300), 250, True),
        ((200, 300), 350, False),
        ((200, float("inf")), 350, True),
        ((400, float("inf")), 390, False),
        ((400, float("inf")), float("inf"), True),
        ((200, float("inf")), 9_000, True),
        ((200, 399), 9_000, False),
    ],
)
def test_labels_needed_are_judged_to_the_furthest_forecast(sim, needed, needs, held):
    row = sim.summary.group([made(sim, needed=needed, needs=needs)])["rules"]["llmtl"]["labels_needed"]
    assert row["held"]["rate"] == held


def test_coverage_and_error(sim):
    items = [made(sim, needed=None, needs=None, truth=truth) for truth in (0.55, 0.65, 0.75, 0.85)]
    row = sim.summary.group(items)["rules"]["llmtl"]["4x"]
    assert row["held"]["rate"] == 0.5
    assert row["width_points"] == pytest.approx(20)
    assert row["absolute_error_points"] == pytest.approx(10)
    assert row["bias_points"] == pytest.approx(0)
    # a measured truth may miss the band by its own noise: hypot(10, 1.282 x 9) = 15.3 points
    noisy = sim.summary.group([made(sim, needed=None, needs=None, truth=0.85, noise=0.09)])
    assert noisy["rules"]["llmtl"]["4x"]["held"]["rate"] == 1.0


def test_a_small_simulation(sim):
    found = list(sim.simulate.simulated(2, 7))
    assert [item.kind for item in found] == [*sim.worlds.KINDS] * 2
    assert all((item.refusal is None) == bool(item.said) for item in found)
    result = sim.summary.summarise(found)
    assert result["curves"] == 10
    assert set(result["kinds"]["power"]["rules"]) == {"llmtl", "power law alone", "log-linear", "last score"}
    assert sim.simulate.outcome(sim.worlds.make_world("power", np.random.default_rng((7, 0)))) == found[0]


def test_the_committed_result_is_of_this_design(sim):
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    assert result["design"] == json.loads(json.dumps(sim.simulate.design(200, sim.simulate.SEED)))
    assert set(result["kinds"]) == {*sim.worlds.KINDS, "real"}
    assert "--data DATA" in result["command"]


def test_made_tasks_are_many_different_messages_of_every_label_and_repeat(sim):
    for make in (sim.made.parts, sim.made.concepts):
        task, examples = make(5, 300)
        assert len({example.text for example in examples}) == 300
        assert {example.reference for example in examples} == set(task.labels)
        assert make(5, 300) == (task, examples)
        assert make(6, 300)[1] != examples


def test_the_names_of_parts_tell_the_bay_and_rare_ones_are_met_late(sim):
    _, examples = sim.made.parts(0, 600)
    words = {example.id: set(example.text.replace(":", "").replace(",", "").split()) for example in examples}
    telling = {}
    for example in examples:
        for word in words[example.id]:
            telling.setdefault(word, set()).add(example.reference)
    alone = {word for word, bays in telling.items() if len(bays) == 1}
    assert all(words[example.id] & alone for example in examples)
    seen = [set().union(*(words[str(at)] for at in range(size))) & alone for size in (40, 160, 600)]
    assert len(seen[0]) < len(seen[1]) < len(seen[2])


def test_a_real_curve_is_a_nested_fit_on_train_and_its_truth_lies_further_on_other_examples(sim):
    task, examples = sim.made.parts(1, 900)
    plan = sim.real.planned(sim.real.Wanted("parts", task, examples, dev=100, seed=1, most_train=320, most_test=200))
    assert [sizes[-1] for sizes in plan.shown] == [20, 80]
    parts = [{example.id for example in part} for part in (plan.split.train, plan.split.dev, plan.split.test)]
    assert len(set().union(*parts)) == sum(map(len, parts)) == 320 + 100 + 200
    scored = {size: plan.score(size, sim.real._tfidf) for size in sorted(plan.on_dev | plan.on_test)}
    short, long = plan.curves(scored, "tfidf")
    assert (set(short.truth), short.test_examples) == ({2, 4}, 200)
    # the score at 80 is shown by one curve and foretold by the other, on different examples
    assert scored[80].dev is not None
    assert short.truth[4] == scored[80].test
    assert long.measured.points[-1].score == pytest.approx(1 - scored[80].dev.mean())
    del scored[40]
    assert [curve.measured.sizes[-1] for curve in plan.curves(scored, "tfidf")] == [80]


def test_fits_are_judged_when_their_curve_is_whole_and_not_made_twice(sim):
    group = next(sim.models.groups(None))
    assert group.key == ("knn-few-shot", "made-up parts", 0)
    errors = {size: 2.0 * size**-0.4 for size in group.sizes}
    rng = np.random.default_rng(2)
    ease = rng.random(sim.models.DEV)
    fits = [
        {
            "strategy": group.strategy,
            "data": "made-up parts",
            "seed": 0,
            "size": size,
            "wrong_on_dev": "".join("01"[int(each < error)] for each in ease),
            "test_score": 1 - error,
        }
        for size, error in errors.items()
    ]
    assert sim.models.judged([group], fits[:-1])["curves"] == 0
    result = sim.models.judged([group], fits)
    assert result["curves"] == 1
    assert result["each"][0]["truth"] == {f"{by}x": round(1 - errors[by * 80], 4) for by in (2, 4)}
    assert list(sim.models.measure(group, fits, until=float("inf"))) == []


def test_the_committed_curves_of_models_are_of_this_design_and_judged_by_this_forecast(sim):
    result = json.loads(MODELS_RESULT.read_text(encoding="utf-8"))
    assert result["design"] == sim.models.design()
    # the real data sets are not everywhere
    made = [row for row in result["each"] if row["data"] in (sim.made.PARTS, sim.made.CONCEPTS)]
    again = sim.models.judged(list(sim.models.groups(None)), result["fits"])["each"]
    assert len(made) >= 1
    for before, now in zip(made, again, strict=True):
        assert now["scores"] == before["scores"]
        assert now["truth"] == before["truth"]
        assert now["refusal"] == before["refusal"]
        if now["forecast"]:
            for factor, band in now["forecast"].items():
                assert band == pytest.approx(before["forecast"][factor], abs=0.002)


def curve_of(sim, source, data, score, *, later):
    """Return a judged curve whose band at a departure of d is 0.5 +- d."""
    measured = sim.real_curves.MeasuredCurve("tfidf", (), np.eye(1), 100)
    real = sim.real_curves.Real(source, data, measured, dict.fromkeys((2, 4), later))
    bands = {each: dict.fromkeys((2, 4), (0.5 - each, score, 0.5 + each)) for each in sim.real_curves.CANDIDATES}
    return sim.real_curves.Judged(real, None, bands | {sim.real_curves.BEFORE: bands[0.0]})


def test_the_departure_is_the_smallest_that_holds_four_in_five_of_every_source_but_the_data_left_out(sim):
    near = [curve_of(sim, "SetFit", "a", 0.5, later=0.58) for _ in range(4)]
    far = [curve_of(sim, "fine-tuning", "b", 0.5, later=0.72) for _ in range(4)]
    farthest = curve_of(sim, "fine-tuning", "b", 0.5, later=0.99)
    assert sim.real_curves.chosen(near) == 0.1
    assert sim.real_curves.chosen([*near, *far, farthest]) == 0.25
    assert sim.real_curves.chosen([*near, *far, farthest], without="b") == 0.1
    found = sim.real_curves.results([*near, *far, farthest])
    assert found["left_out"]["fine-tuning"]["4x"]["held"]["rate"] == 0.0
    assert found["left_out"]["SetFit"]["2x"]["held"]["rate"] == 1.0


def test_the_departure_that_is_shipped_is_the_one_that_the_real_curves_choose(sim):
    result = json.loads(RESULT.with_name("real_curves.json").read_text(encoding="utf-8"))
    assert result["departure"]["chosen"] == sim.real_curves.DEPARTURE_SD
    for source in sim.real_curves.SETTING:
        for factor in ("2x", "4x"):
            left_out, before = (result[rule][source][factor] for rule in ("left_out", "before"))
            assert left_out["held"]["rate"] >= 0.8 > before["held"]["rate"]
            assert abs(left_out["bias_points"]) < 2.5


def test_published_curves_are_read_with_what_was_measured_later(sim):
    curves = list(sim.real_curves.published())
    first = curves[0]
    assert (first.source, first.data, first.measured.sizes) == ("fine-tuning", "ag_news", [8, 16, 32, 64])
    assert first.later == {2: 0.86803, 4: 0.89211}
    assert sum(each.source == "fine-tuning" for each in curves) == 80

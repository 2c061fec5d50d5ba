"""The worlds in which the verdict is judged are what their README says, and judging is right on cases done by hand."""

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal, norm
from sklearn.metrics import f1_score
from statsmodels.stats.proportion import proportions_ztest

from llmtl import Role
from llmtl.task import Metric

FOLDER = Path(__file__).parents[2] / "evals" / "verdicts"
RESULT = FOLDER.parent / "results" / "verdicts.json"
MODULES = ("worlds", "truth", "rules", "summary", "simulate", "coverage", "coverage_micro", "written_results")
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def sim(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.syspath_prepend(FOLDER)
    import coverage
    import coverage_micro
    import rules
    import simulate
    import summary
    import truth
    import worlds

    yield SimpleNamespace(
        coverage=coverage,
        coverage_micro=coverage_micro,
        rules=rules,
        simulate=simulate,
        summary=summary,
        truth=truth,
        worlds=worlds,
    )
    for name in MODULES:
        sys.modules.pop(name, None)


def world_of(sim, truth, cost, *, baselines=1, n=1000, latent=0.7):
    """Return a world with true accuracies and total costs, baselines first."""
    roles = (Role.BASELINE,) * baselines + (Role.PROMPTING,) * (len(truth) - baselines)
    truth = np.array(truth)
    return sim.worlds.World(
        kind="wide",
        metric=Metric.ACCURACY,
        names=tuple(f"s{i}" for i in range(len(truth))),
        roles=roles,
        truth=truth,
        latent=np.full(len(truth), latent),
        usd_per_1k=np.array(cost) * 1000 / sim.worlds.REQUESTS,
        train_usd=np.zeros(len(truth)),
        n_dev=n,
        n_test=n,
        answers=sim.worlds.two_labels(truth),
    )


@pytest.mark.parametrize("accuracy", [0.55, 0.8, 0.95])
@pytest.mark.parametrize("phi", [0.4, 0.7])
def test_correctness_correlates_as_stated(sim, accuracy, phi):
    latent = sim.worlds.latent_correlation(np.array([accuracy]), np.array([phi]))[0]
    # reference: the bivariate normal of scipy
    threshold = norm.ppf(accuracy)
    both = multivariate_normal([0, 0], [[1, latent], [latent, 1]]).cdf([threshold, threshold])
    assert (both - accuracy**2) / (accuracy * (1 - accuracy)) == pytest.approx(phi, abs=1e-3)
    world = world_of(sim, [accuracy, accuracy], [1, 2], latent=latent)
    references, answers = sim.worlds.draw(world, 40_000, np.random.default_rng(1))
    right = answers == references[:, None]
    assert right.mean(axis=0) == pytest.approx([accuracy, accuracy], abs=0.01)
    assert np.corrcoef(right.T)[0, 1] == pytest.approx(phi, abs=0.03)


@pytest.mark.parametrize("metric", [Metric.ACCURACY, Metric.MACRO_F1])
def test_worlds_keep_to_the_design(sim, metric):
    for number, kind in enumerate(list(sim.worlds.KINDS) * 8):
        world = sim.worlds.make_world(kind, metric, np.random.default_rng((7, number)))
        gaps, baseline, total = world.truth.max() - world.truth, world.is_baseline, world.usd_total
        assert 2 <= len(world.names) <= 10
        assert baseline.sum() in ((0,) if kind in sim.worlds.NO_BASELINE else (1, 2))
        assert not baseline.all()
        assert 0.60 <= world.truth.max() <= 0.97
        assert gaps.max() <= 0.20 + 1e-12
        assert 100 <= min(world.n_dev, world.n_test) <= max(world.n_dev, world.n_test) <= 2000
        assert (np.sort(total)[1:] >= 1.15 * np.sort(total)[:-1]).all()
        prompting = [i for i, role in enumerate(world.roles) if role is Role.PROMPTING]
        assert not prompting or world.names[min(prompting, key=lambda i: total[i])] == "zero-shot"
        pairs = world.latent[:, None] ** 0.5 * world.latent**0.5
        assert (pairs > 0.4).all()
        check_gaps(kind, gaps, baseline, total)


def check_gaps(kind, gaps, baseline, total):
    if kind == "narrow":
        assert gaps.max() <= 0.04 + 1e-12
    elif kind in ("level", "level-no-baseline"):
        assert gaps.max() == pytest.approx(0)
    elif kind == "level-baseline":
        assert gaps[baseline].min() == pytest.approx(0)
        assert gaps[~baseline].min() == pytest.approx(0)
    elif kind == "level-rival":
        assert gaps[np.argmax(np.where(baseline, 0, total))] == pytest.approx(0)
        assert (gaps[~baseline] < 1e-12).sum() == 2
    elif kind == "near-margin":
        assert gaps[baseline].min() <= 0.04 + 1e-12
        assert gaps[~baseline].min() == pytest.approx(0)


def test_the_true_macro_f1_is_that_of_endless_data(sim):
    world = sim.worlds.make_world("wide", Metric.MACRO_F1, np.random.default_rng(3))
    references, answers = sim.worlds.draw(world, 60_000, np.random.default_rng(4))
    found = [f1_score(references, column, average="macro") for column in answers.T]
    assert found == pytest.approx(world.truth, abs=0.01)


def test_discordance_is_that_of_the_draws(sim):
    world = world_of(sim, [0.7, 0.9], [1, 2])
    references, answers = sim.worlds.draw(world, 60_000, np.random.default_rng(5))
    right = answers == references[:, None]
    assert sim.truth.discordance(world, 0, 1) == pytest.approx((right[:, 0] != right[:, 1]).mean(), abs=0.01)


def test_power_is_how_often_the_tests_answer(sim):
    world = world_of(sim, [0.80, 0.84], [1, 9], n=500)
    rng = np.random.default_rng(6)
    said = [
        sim.rules.llmtl(
            world,
            *(
                sim.rules.evaluations(world, split, sim.worlds.draw(world, world.n_test, rng))
                for split in ("dev", "test")
            ),
        )
        for _ in range(150)
    ]
    # a choice of the baseline on dev cannot end in `adopt`, so that these are left out
    chosen = [each.verdict == "adopt" for each in said if each.chosen == 1]
    power = sim.truth.power(world, 0.02, 0.05)
    assert 0.2 < power < 0.9
    assert np.mean(chosen) == pytest.approx(power, abs=0.12)


@pytest.mark.parametrize(
    ("verdict", "winner", "beaten", "expected"),
    [
        ("adopt", 3, (0, 2), {"claimed": True, "strict": True, "baseline_only": False, "regret": 0.0, "dearer": True}),
        ("adopt", 3, (0,), {"claimed": False, "strict": True, "baseline_only": False, "regret": 0.0}),
        ("adopt", 2, (0,), {"claimed": False, "strict": False, "baseline_only": False, "regret": 0.0}),
        ("adopt", 1, (0,), {"claimed": True, "strict": True, "baseline_only": True, "regret": 20.0}),
        ("inconclusive", 1, (0,), {"claimed": False, "strict": False, "baseline_only": False, "charged": 20.0}),
        ("baseline", 0, (), {"false_baseline": True, "regret": 15.0, "raw_regret": 15.0, "dearer": False}),
        ("tie", 4, (), {"regret": 1.0, "raw_regret": 1.0, "charged": 3.0, "dearer": True}),
    ],
)
def test_judging(sim, verdict, winner, beaten, expected):
    world = world_of(sim, [0.70, 0.65, 0.85, 0.85, 0.84], [0.1, 1, 5, 9, 20])
    judged = sim.truth.judge(world, sim.truth.Verdict(verdict, winner, beaten), 0.02)
    assert {name: getattr(judged, name) for name in expected} == pytest.approx(expected)


def test_a_cheaper_strategy_within_the_margin_is_no_regret(sim):
    world = world_of(sim, [0.70, 0.835, 0.85], [0.1, 1, 5])
    judged = sim.truth.judge(world, sim.truth.Verdict("adopt", 1), 0.02)
    assert (judged.regret, judged.raw_regret, judged.dearer) == (0.0, pytest.approx(1.5), False)
    assert sim.truth.right_strategy(world, 0.02) == 1
    assert sim.truth.right_strategy(world, 0.01) == 2


def scores(sim, values, n):
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(np.round(np.array(values) * n), n, method="wilson")
    right = np.arange(n) < np.round(np.array(values) * n)[:, None]
    return sim.rules.Scores(np.array(values), low, high, n, right)


def test_naive_rules(sim):
    world = world_of(sim, [0.7, 0.7, 0.7, 0.7], [1, 2, 3, 4], baselines=2)
    dev, test = scores(sim, [0.70, 0.72, 0.76, 0.74], 500), scores(sim, [0.73, 0.70, 0.74, 0.785], 500)
    said = sim.rules.naive(world, dev, test)
    assert {name: (each.verdict, each.winner) for name, each in said.items()} == {
        "highest dev mean": ("adopt", 2),
        "highest test mean": ("adopt", 3),
        "unpaired z-test": ("adopt", 3),
        "plain McNemar test": ("adopt", 3),
        "non-overlapping intervals": ("baseline", 0),
    }
    assert proportions_ztest([0.785 * 500, 0.73 * 500], [500, 500])[1] < 0.05
    assert proportions_ztest([0.78 * 500, 0.73 * 500], [500, 500])[1] > 0.05
    closer = scores(sim, [0.73, 0.70, 0.74, 0.78], 500)
    assert sim.rules.naive(world, dev, closer)["unpaired z-test"].winner == 0
    # nested answers: 5 that only the second gets right are not significant, 6 are
    assert sim.rules.naive(world, dev, scores(sim, [0.73, 0.70, 0.73, 0.74], 500))["plain McNemar test"].winner == 0
    assert sim.rules.naive(world, dev, scores(sim, [0.73, 0.70, 0.73, 0.742], 500))["plain McNemar test"].winner == 3
    apart = scores(sim, [0.73, 0.70, 0.74, 0.83], 500)
    assert sim.rules.naive(world, dev, apart)["non-overlapping intervals"].winner == 3


def test_the_bars_compare_raw_regret_with_careful_rules_and_charged_regret_with_all(sim):
    def row(rate, raw, charged):
        return {
            "false_adopt": {"strict": {"rate": rate}},
            "raw_regret_points": {"mean": raw},
            "regret_with_the_margin_charged_points": {"mean": charged},
        }

    careless, careful = row(0.3, 0.1, 1.2), row(0.04, 0.8, 0.6)
    met = sim.summary.rule_bars({"llmtl": row(0.005, 0.5, 0.7), "careless": careless, "careful": careful})
    assert met == {
        "false adopt at most 1%": True,
        "mean raw regret at most 1.0 point": True,
        "less raw regret than careful": True,
        "less charged regret than careless": True,
        "less charged regret than careful": False,
    }
    worse = sim.summary.rule_bars({"llmtl": row(0.02, 1.5, 0.5), "careful": careful})
    assert list(worse.values()) == [False, False, False, True]


def test_costs_rise_with_the_score_in_half_of_the_worlds(sim):
    made = [sim.worlds.make_world("wide", Metric.ACCURACY, np.random.default_rng((3, at))) for at in range(300)]
    found = {True: [], False: []}
    for world in made:
        others = np.flatnonzero(~world.is_baseline)
        if len(others) > 2:
            found[world.rising].append(np.corrcoef(np.log(world.usd_total[others]), world.truth[others])[0, 1])
    assert 0.35 < len(found[True]) / (len(found[True]) + len(found[False])) < 0.65
    assert np.mean(found[True]) > 0.6
    assert abs(np.mean(found[False])) < 0.15


def test_training_again_moves_what_is_tuned_and_nothing_else(sim):
    made = (sim.worlds.make_world("wide", Metric.ACCURACY, np.random.default_rng((4, at))) for at in range(50))
    world = next(each for each in made if each.draw_sd and Role.TUNING in each.roles and Role.PROMPTING in each.roles)
    tuned = np.array([role is Role.TUNING for role in world.roles])
    once, several = sim.worlds.redrawn(world, np.random.default_rng(1))
    draws = several.answers.right[:, 0].reshape(sim.worlds.DRAWS, -1)
    assert (draws[:, ~tuned] == world.truth[~tuned]).all()
    assert (draws[:, tuned] != world.truth[tuned]).all()
    assert (once.answers.right[:, 0] == draws[0]).all()
    test = sim.rules.evaluations(world, "test", sim.worlds.draw(several, 30, np.random.default_rng(2)))
    assert [len(item.seed_predictions) for item in test] == (tuned * (sim.worlds.DRAWS - 1)).tolist()


def test_a_small_simulation(sim):
    wanted = sim.simulate.orders(20, 2, 11)
    assert [order.kind for order in wanted].count("wide") == 5
    found = [sim.simulate.outcome(order) for order in wanted]
    result = sim.summary.summarise(found)
    assert result["worlds"] == 22
    assert set(result["rules"]) == {
        "llmtl",
        "highest dev mean",
        "highest test mean",
        "unpaired z-test",
        "plain McNemar test",
        "non-overlapping intervals",
    }
    shares = result["rules"]["llmtl"]["verdicts"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
    raced = [item for item in found if item.evaluations is not None]
    assert len(raced) == 20
    assert all(0 < item.evaluations.used <= item.evaluations.planned for item in raced)
    # a world depends on its own number only
    assert sim.simulate.outcome(wanted[-1]) == found[-1]
    assert sim.simulate.outcome(replace(wanted[-1], seed=(11, 999))) != found[-1]


def test_the_committed_result_is_of_this_design(sim):
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    design = result["design"]
    assert design["accuracy_worlds"] >= 2000
    assert design["kinds"] == sim.worlds.KINDS
    assert design["strategies"] == list(sim.worlds.STRATEGIES)
    assert design["margin"] == sim.rules.CONFIG.margin
    assert result["seconds"] < 600
    assert result["worlds"] == design["accuracy_worlds"] + design["macro_f1_worlds"]


def test_coverage_is_judged_against_the_expected_score(sim):
    order = sim.coverage.Order(labels=3, n=60, kind="same", seed=(1, 2))
    world = sim.coverage.make_world(order, np.random.default_rng(order.seed))
    assert world.truth[0] == world.truth[1]
    assert (world.answers.right[0] == world.answers.right[1]).all()
    references, answers = sim.worlds.draw(world, 60, np.random.default_rng(3))
    expected = [f1_score(references, column, average="macro") for column in answers.T]
    assert sim.coverage.observed(3, references, answers) == pytest.approx(expected)
    found = sim.coverage.sampled(order)
    assert len(found) == sim.coverage.SAMPLES
    figures = sim.coverage.summarise(found)["all"]
    assert figures["score_covered"]["of"] == figures["rejected_where_alike"]["of"] == sim.coverage.SAMPLES
    assert figures["difference_covered"]["rate"] >= 0.7


def test_the_committed_coverage_is_of_this_design_and_near_what_is_said(sim):
    result = json.loads((FOLDER.parent / "results" / "coverage.json").read_text(encoding="utf-8"))
    assert result["design"]["seed"] == sim.coverage.SEED
    assert result["design"]["labels_and_examples"] == {str(k): list(v) for k, v in sim.coverage.SIZES.items()}
    general, special = (result["engines"][name]["all"] for name in ("general", "special"))
    for name in ("score_covered", "difference_covered", "at_least_holds", "at_most_holds"):
        assert abs(general[name]["rate"] - 0.95) < 0.01
        assert general[name]["rate"] >= special[name]["rate"]
    assert general["rejected_where_alike"]["rate"] <= 0.05


@pytest.mark.parametrize("kind", ["label sets", "many spans, false apart", "spans in documents"])
def test_micro_f1_of_many_examples_is_the_true_one(sim, kind):
    cell = sim.coverage_micro.Cell(kind, 0.3, 20_000, 1, (1, 2))
    hits, expected, claimed, groups = sim.coverage_micro.drawn(cell, np.random.default_rng(3))
    assert 2 * hits.sum() / (expected + claimed).sum() == pytest.approx(0.3, abs=0.01)
    assert len(groups) == (len(hits) if sim.coverage_micro.KINDS[kind].documents else 0)


def test_the_committed_coverage_of_micro_f1_is_of_this_design_and_near_what_is_said(sim):
    result = json.loads((FOLDER.parent / "results" / "coverage_micro.json").read_text(encoding="utf-8"))
    assert result["design"]["seed"] == sim.coverage_micro.SEED
    assert set(result["cells"]) == {f"{each.kind}, {each.true}, {each.n}" for each in sim.coverage_micro.cells(1, 0)}
    assert abs(result["all"]["held"] - 0.95) < 0.015
    for figures in (*result["kinds"].values(), *result["true_by_examples"].values()):
        assert 0.93 <= figures["held"] <= 0.985

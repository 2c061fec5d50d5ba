import re
from dataclasses import replace
from itertools import combinations, pairwise
from xml.etree import ElementTree as ET

import pytest

from llmtl.report import svg
from llmtl.report.charts.axes import Ending, EndNames, Plot
from llmtl.report.charts.curves import accuracy_chart, loss_chart, rates_chart
from llmtl.report.charts.fewshot import search_chart, search_ends
from llmtl.report.charts.placing import Box, place_labels
from llmtl.report.charts.score_against_cost import cost_chart, costs_differ, efficient
from llmtl.report.charts.score_intervals import scores_chart
from llmtl.report.view import DrawnPrompt, DrawnRates, DrawnStep, build_view
from llmtl.strategy import LOOKS, Role
from tests.support.report_factory import VARIANTS, make_content, with_failures

WIDTHS = (928.0, 358.0)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("width", WIDTHS)
def test_charts_are_xml_and_stay_inside_their_width(variant, width):
    view = build_view(VARIANTS[variant]())
    for drawing in (
        scores_chart(view.rows, metric="accuracy", target=0.85, width=width, name="a"),
        cost_chart(view.rows, metric="accuracy", width=width, name="b"),
    ):
        root = ET.fromstring(str(drawing))
        for node in root.iter():
            for name in ("x", "x1", "x2", "cx"):
                assert -1 <= float(node.get(name, 0)) <= width + 1


def test_interval_ends_are_drawn_where_the_axis_says():
    rows = build_view(make_content()).rows
    root = ET.fromstring(str(scores_chart(rows, metric="accuracy", target=None, width=928, name="a")))
    ticks = {float(t.text): float(t.get("x")) for t in root.iter("text") if t.get("class") == "tick"}
    (low, low_x), (high, high_x) = min(ticks.items()), max(ticks.items())

    def value(x):
        return low + (float(x) - low_x) / (high_x - low_x) * (high - low)

    drawn = next(group for group in root.iter("g") if group.get("class") == "test")
    line = drawn.find("line")
    best = rows[0].result.test
    assert (value(line.get("x1")), value(line.get("x2"))) == pytest.approx(best.ci95, abs=2e-3)


@pytest.mark.parametrize("width", WIDTHS)
def test_long_names_take_two_lines_and_leave_most_of_the_width_to_the_marks(width):
    long = "TF-IDF and logistic regression, then Linear classifier on sentence vectors"
    rows = [replace(row, result=replace(row.result, name=long)) for row in build_view(make_content()).rows]
    root = ET.fromstring(str(scores_chart(rows, metric="accuracy", target=None, width=width, name="a")))
    names = [node for node in root.iter("text") if (node.get("class") or "").split()[0] == "name"]
    assert [node.text for node in names[:2]] == [
        "TF-IDF and logistic regression, then",
        "Linear classifier on sentence vectors",
    ]
    assert len({(node.get("x"), node.get("y")) for node in names}) == 2 * len(rows)
    marks = [float(node.get("x1")) for node in root.iter("line") if node.get("class") == "grid"]
    assert max(marks) - min(marks) > 0.4 * width


def test_on_a_phone_the_target_crosses_marks_and_no_text():
    view = build_view(make_content())
    drawn = {
        width: ET.fromstring(str(scores_chart(view.rows, metric="accuracy", target=0.95, width=width, name="a")))
        for width in (928, 358)
    }
    lines = {width: [each for each in root.iter() if each.get("class") == "target"] for width, root in drawn.items()}
    assert (len(lines[928]), len(lines[358])) == (1, len(view.rows))
    for text in drawn[358].iter():
        if text.tag.endswith("text") and "figure" in (text.get("class") or ""):
            level = float(text.get("y"))
            assert not any(float(line.get("y1")) < level - 2 < float(line.get("y2")) for line in lines[358])


def test_predictions_made_elsewhere_are_not_called_prompts():
    rows = [replace(row, given=True) for row in build_view(make_content()).rows]
    drawn = str(scores_chart(rows, metric="accuracy", target=None, width=928, name="a"))
    assert "predictions given" in drawn
    assert ">prompting" not in drawn


@pytest.mark.parametrize("width", WIDTHS)
def test_cost_labels_do_not_overlap(width):
    rows = build_view(make_content()).rows
    drawing = str(cost_chart(rows, metric="accuracy", width=width, name="a"))
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="(?:name|label) halo">([^<]+)<', drawing)
    assert len(found) == len(rows)
    boxes = [Box(float(x), float(y) - 12, float(x) + svg.text_width(label), float(y) + 4) for x, y, label in found]
    assert all(one.overlap(other) == 0 for one, other in combinations(boxes, 2))


def test_names_behind_lines_are_those_of_the_table_where_titles_have_no_room():
    names = ("Fine-tuned encoder", "TF-IDF and logistic regression, then Fine-tuned encoder", "rules.jsonl")
    wide, tight = EndNames.of(names, width=2000), EndNames.of(names, width=928)
    assert list(wide.written.values()) == list(names)
    assert list(tight.written.values()) == ["encoder", "tfidf-else-encoder", "rules.jsonl"]
    assert tight.room < wide.room


def test_costs_that_are_all_the_same_are_not_drawn():
    content = make_content()
    rows = build_view(content).rows
    assert costs_differ(rows)
    level = [replace(row, result=replace(row.result, usd_per_month=59.57)) for row in rows]
    assert not costs_differ(level)


def test_axis_is_logarithmic_only_when_costs_spread():
    rows = build_view(make_content()).rows
    near = [row for row in rows if row.result.role is not Role.BASELINE]
    assert "logarithmic" in cost_chart(rows, metric="accuracy", width=928, name="a")
    assert "logarithmic" not in cost_chart(near, metric="accuracy", width=928, name="a")


def test_efficient_strategies_are_those_no_other_beats():
    results = [row.result for row in build_view(with_failures()).rows]

    def value(result):
        return (result.test or result.dev).value

    expected = {
        one.name
        for one in results
        if not any(
            other.usd_per_1k_requests <= one.usd_per_1k_requests
            and value(other) >= value(one)
            and (other.usd_per_1k_requests, value(other)) != (one.usd_per_1k_requests, value(one))
            for other in results
        )
    }
    assert {results[i].name for i in efficient(results)} == expected == {"qlora", "tfidf", "majority"}


def test_equal_strategies_are_both_efficient():
    result = build_view(make_content()).rows[0].result
    assert efficient([result, replace(result, name="twin")]) == [0, 1]


def test_crowded_labels_are_moved_apart_with_leaders():
    points = [(300.0 + 3 * i, 150.0) for i in range(6)]
    places = place_labels(points, ["few-shot"] * 6, frame=Box(0, 0, 600, 300))
    assert all(one.box.overlap(other.box) == 0 for one, other in combinations(places, 2))
    assert any(place.leader for place in places)
    assert all(place.box.outside(Box(0, 0, 600, 300)) == 0 for place in places)


FRAME = Box(50, 30, 350, 230)
PLOT = Plot(FRAME, svg.Scale(1, 1000, FRAME.left, FRAME.right, log=True), svg.Scale(0, 1, FRAME.bottom, FRAME.top))


def test_names_of_lines_that_end_close_together_neither_touch_nor_leave_the_frame():
    names = [ET.fromstring(str(name)) for name in PLOT.names([Ending(y, f"at {y}") for y in (228, 40, 229, 227, 230)])]
    heights = [float(name.get("y")) for name in names]
    assert [name.text for name in names] == ["at 40", "at 227", "at 228", "at 229", "at 230"]
    assert all(below - above >= 15 for above, below in pairwise(heights))
    assert max(heights) == FRAME.bottom + 4  # the baseline of a name whose middle is on the edge


def test_figures_of_an_axis_that_have_no_room_are_left_out():
    axis = ET.fromstring(str(PLOT.bottom_axis("examples", [100, 101, 110, 1000])))
    assert [each.text for each in axis.iter("text")] == ["100", "1,000", "examples"]
    assert len([each for each in axis.iter("line") if each.get("x1") == each.get("x2")]) == 4  # their ticks stay


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 1.0, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.55, 0.9, [0.6, 0.7, 0.8, 0.9]),
        (0, 4e-6, [0, 1e-6, 2e-6, 3e-6, 4e-6]),
    ],
)
def test_ticks_are_round_and_cover_the_range(low, high, ticks):
    assert svg.linear_ticks(low, high) == pytest.approx(ticks)


def test_score_range_never_leaves_zero_to_one_nor_collapses():
    assert svg.score_range([0.0, 1.0]) == (0.0, 1.0)
    assert svg.score_range([0.0]) == (0.0, 0.1)
    low, high = svg.score_range([1.0])
    assert high == 1.0
    assert high - low == pytest.approx(0.1)


def test_roles_have_looks_of_their_own():
    assert set(LOOKS) == set(Role)
    assert len({str(svg.mark(role, (0, 0))) for role in Role}) == len(Role)
    for fact in ("name", "simplicity", "mark", "colour", "dark_colour"):
        assert len({getattr(look, fact) for look in LOOKS.values()}) == len(Role), fact


def test_element_escapes_text_and_attributes():
    drawn = str(svg.element("text", "<b>", data_name='"x"', missing=None))
    assert drawn == '<text data-name="&#34;x&#34;">&lt;b&gt;</text>'


def test_curves_need_two_points():
    one = [DrawnStep(1, 0.5, 0.5, 0.5, "dev examples", kept=True)]
    assert loss_chart(one, strategy="qlora", width=320, name="a") is None
    assert accuracy_chart(one, strategy="qlora", width=320, name="a") is None


def test_the_kept_checkpoint_is_marked_even_if_another_has_a_lower_loss():
    points = [DrawnStep(10 * i, None, 1 / i, None, "dev examples", kept=i == 2) for i in range(1, 5)]
    drawn = ET.fromstring(str(loss_chart(points, strategy="qlora", width=320, name="a")))
    assert "dev loss 0.500 at step 20" in drawn.find("desc").text


def tried(shots, scores, chosen=False):
    return [DrawnPrompt(shots, seed, score, chosen and seed == 0) for seed, score in enumerate(scores)]


SEARCHES = {
    "zero-shot": tried(0, [0.3, 0.3], chosen=True),
    "few-shot": [*tried(4, [0.4, 0.5, 0.6]), *tried(32, [0.5] * 12, chosen=True)],
    "many-shot": tried(90, [0.7], chosen=True),
    "knn-few-shot": [*tried(4, [0.4]), *tried(8, [0.5], chosen=True)],
    "hosted": [*tried(0, [0.8]), *tried(8, [0.9], chosen=True)],
}


def test_searches_stand_side_by_side_on_one_axis_with_no_dot_on_another():
    ends = search_ends(SEARCHES)
    drawn = search_chart(SEARCHES, metric="accuracy", ends=ends, width=928, name="s")
    root = ET.fromstring(str(drawn))
    assert float(root.get("width")) <= 928
    dots = [(float(dot.get("cx")), float(dot.get("cy"))) for dot in root.iter("circle")]
    assert len(dots) == sum(len(group) for group in SEARCHES.values())
    assert all(abs(a[0] - b[0]) > 9 or abs(a[1] - b[1]) > 9 for a, b in combinations(dots, 2))
    assert len([dot for dot in root.iter("circle") if dot.get("class") == "solid"]) == len(SEARCHES)
    by_score = {each.score: None for group in SEARCHES.values() for each in group}
    heights = sorted({y for _, y in dots}, reverse=True)
    assert len(heights) == len(by_score)  # equal scores of different strategies are equally high
    names = [t for t in root.iter("text") if t.get("class") == "name"]
    assert [name.text for name in names] == list(SEARCHES)
    boxes = [(float(t.get("x")), svg.text_width(t.text) / 2) for t in names]
    assert all(left[0] + left[1] < right[0] - right[1] for left, right in pairwise(boxes))


def test_a_narrow_search_keeps_its_dots_inside_and_nothing_searched_is_no_chart():
    ends = search_ends(SEARCHES)
    for strategy, group in SEARCHES.items():
        root = ET.fromstring(str(search_chart({strategy: group}, metric="accuracy", ends=ends, width=358, name="s")))
        assert all(0 < float(dot.get("cx")) < 358 for dot in root.iter("circle"))
    assert search_chart({}, metric="accuracy", ends=search_ends({}), width=928, name="s") is None


def test_a_search_for_a_learning_rate_is_drawn_with_the_rate_in_use():
    tried = tuple((10.0**power, 3.0 - power / 10) for power in (-5, -4, -3, -2))
    drawn = ET.fromstring(str(rates_chart(DrawnRates(tried, 1e-3), strategy="qlora", width=320, name="a")))
    texts = [each.text for each in drawn.iter() if each.tag.endswith("text")]
    assert {"learning rate", "loss", "1e-05", "1e-02"} <= set(texts)
    assert len([each for each in drawn.iter() if each.get("class") == "best"]) == 1
    assert rates_chart(DrawnRates(tried[:1], 1e-3), strategy="qlora", width=320, name="a") is None

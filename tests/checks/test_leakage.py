from llmtl.checks import Level, check_label_names, check_leakage
from llmtl.task import Example, Split


def test_disjoint_parts_have_no_findings(make_examples):
    made = make_examples("a", 30)
    assert check_leakage(Split(tuple(made[:10]), tuple(made[10:20]), tuple(made[20:])), threshold=0.8) == []


def test_equal_texts_stop_and_near_ones_warn(make_examples):
    made = make_examples("a", 30)
    copy = Example("copy", made[0].text.upper() + " ", "a")
    near = Example("near", made[1].text + " x", "a")
    of_dev = Example("of-dev", made[12].text, "b")
    split = Split(tuple(made[:10]), (*made[10:20], near), (*made[20:], copy, of_dev))
    findings = check_leakage(split, threshold=0.8)
    assert [(each.level, each.ids) for each in findings] == [
        (Level.WARNING, ("near",)),
        (Level.STOP, ("copy", "of-dev")),
    ]
    assert "1 of 11 dev texts nearly equal one in train" in findings[0].message
    assert "2 of 12 test texts are also in train or dev" in findings[1].message


def texts(label: str, *contents: str) -> list[Example]:
    return [Example(f"{label}-{number}", content, label) for number, content in enumerate(contents)]


def test_label_names_in_most_own_texts_warn():
    named = texts("card_lost", "Queue: Card-Lost. help", "card lost again", "my CARD LOST", "gone")
    other = texts("refund", "money back", "i want it back", "where is it", "card lost, money back")
    (finding,) = check_label_names([*named, *other])
    assert finding.level is Level.WARNING
    assert finding.ids == ("card_lost-0", "card_lost-1", "card_lost-2")
    assert "'card_lost'" in finding.message
    assert "refund" not in finding.message


def test_names_that_all_texts_share_or_that_are_parts_of_words_are_no_leak():
    common = texts("it", "is it", "it was", "it went", "do it") + texts("b", "it is", "it", "was it", "it went")
    assert check_label_names(common) == []
    parts = texts("car", "card", "cards", "carpet", "scar") + texts("b", "x", "y", "z", "w")
    assert check_label_names(parts) == []


def test_labels_with_few_texts_are_left_alone():
    assert check_label_names(texts("gone", "gone", "gone", "gone") + texts("b", "x", "y", "z", "w")) == []

from llmtl.checks import Level, check_label_names, check_leakage, check_templates
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
    assert "1 of 11 dev texts nearly equals one in train" in findings[0].message
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


def test_test_texts_that_differ_in_numbers_only_warn():
    other = [Example(f"o{number}", word, "b") for number, word in enumerate(("apple", "pear", "plum", "fig", "lime"))]
    learned = [Example("zh", "\u5145\u503c5\u6b27\u5143\u5931\u8d25\u4e86", "a"), *other[:3]]
    test = [Example("same", "\u5145\u503c\u0667\u0668\u6b27\u5143\u5931\u8d25\u4e86", "a"), *other[3:]]
    assert check_leakage(Split(tuple(learned[1:]), tuple(learned[:1]), tuple(test)), threshold=0.8) == []
    (finding,) = check_templates(Split(tuple(learned[1:]), tuple(learned[:1]), tuple(test)))
    assert (finding.check, finding.level, finding.ids) == ("templates", Level.WARNING, ("same",))
    assert finding.message.startswith("1 of 3 test texts differs from one that is learned from in numbers only")


def test_few_texts_that_differ_in_numbers_only_are_no_template():
    words = [f"{chr(97 + n // 26)}{chr(97 + n % 26)}" for n in range(40)]
    learned = [Example("t", "in 5 days", "a"), *(Example(f"l{word}", f"learned {word}", "b") for word in words)]
    test = [Example("s", "in 12 days", "a"), *(Example(f"t{word}", f"tested {word}", "b") for word in words)]
    assert check_templates(Split(tuple(learned[:20]), tuple(learned[20:]), tuple(test))) == []

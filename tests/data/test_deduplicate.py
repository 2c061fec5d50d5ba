from llmtl.data.cleaning import deduplicate
from llmtl.task import Example


def test_copies_with_the_same_label_leave_the_first():
    examples = [Example("1", "Where is it?", "a"), Example("2", "other", "b"), Example("3", "where  IS it?\n", "a")]
    left = deduplicate(examples)
    assert left.examples == (examples[0], examples[1])
    assert left.duplicates == ("3",)
    assert left.conflicts == ()


def test_copies_with_different_labels_all_go():
    examples = [Example("1", "same", "a"), Example("2", "Same", "b"), Example("3", "same", "a"), Example("4", "x", "a")]
    left = deduplicate(examples)
    assert left.examples == (examples[3],)
    assert left.conflicts == ("1", "2", "3")
    assert left.duplicates == ()


def test_compatibility_forms_are_equal():
    assert deduplicate([Example("1", "ﬁne", "a"), Example("2", "fine", "a")]).duplicates == ("2",)

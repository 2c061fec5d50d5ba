from llmtl.checks import Level, check_cleaning
from llmtl.data import Cleaning


def test_a_clean_file_has_no_findings():
    assert check_cleaning(Cleaning(rows=10)) == []


def test_every_kind_of_dropped_row_is_said():
    cleaning = Cleaning(
        1200, incomplete=("line 3", "line 9"), duplicates=("4",), conflicts=("5", "6"), leaked=("7", "8", "9")
    )
    findings = check_cleaning(cleaning)
    assert [(each.check, each.level, each.ids) for each in findings] == [
        ("incomplete", Level.WARNING, ()),
        ("duplicates", Level.INFO, ("4",)),
        ("label-noise", Level.WARNING, ("5", "6")),
        ("leakage", Level.WARNING, ("7", "8", "9")),
    ]
    assert findings[0].message.startswith("2 of 1,200 rows without text or label")
    assert "line 3, line 9" in findings[0].message

"""The check of sizes and names finds what it is there to find, and nothing in the library as it is."""

import pytest

from tests import house_rules

LONG = "def long():\n" + "    pass\n" * 50
CASES = {
    "a file of more lines than allowed": ({"a.py": "\n" * 401}, "llmtl/a.py: 401 lines"),
    "a long function": ({"a.py": LONG}, "'long' has 51 lines"),
    "many parameters": ({"a.py": "def f(a, b, *, c, d, e, g, h, i, j): ...\n"}, "'f' takes 9 parameters"),
    "a circle, hidden in a function": (
        {"a.py": "from llmtl.b import x\n", "b.py": "def f():\n    from llmtl.a import y\n"},
        "llmtl.a -> llmtl.b: these files import each other",
    ),
    "two files of one name": ({"one/thing.py": "", "two/thing.py": ""}, "'thing.py' is the name of 2 files"),
    "two classes of one name": (
        {"a.py": "class Job: ...\n", "b.py": "class Job: ...\n"},
        "'Job' is the name of 2 classes",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_broken_rule_is_one_line_with_its_cure(tmp_path, case):
    files, said = CASES[case]
    for name, text in files.items():
        path = tmp_path / "llmtl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    [line] = house_rules.problems(tmp_path)
    assert said in line
    assert ";" in line


def test_a_config_and_an_init_may_stand_in_every_folder(tmp_path):
    for name in ("one/__init__.py", "one/config.py", "two/__init__.py", "two/config.py"):
        path = tmp_path / "llmtl" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    assert house_rules.problems(tmp_path) == []


def test_an_estimator_of_scikit_learn_may_have_as_many_parameters_as_it_needs(tmp_path):
    (tmp_path / "llmtl").mkdir()
    many = "    def {}(self, a, b, c, d, e, f, g, h, i): ...\n"
    (tmp_path / "llmtl" / "a.py").write_text(f"class A(Mixin, BaseEstimator):\n{many.format('__init__')}")
    assert house_rules.problems(tmp_path) == []
    (tmp_path / "llmtl" / "a.py").write_text(f"class A(Mixin, BaseEstimator):\n{many.format('fit')}")
    assert len(house_rules.problems(tmp_path)) == 1


def test_the_library_keeps_the_rules():
    assert house_rules.problems(house_rules.ROOT) == []

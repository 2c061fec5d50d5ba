"""Runs `llmtl` as after a plain `pip install llmtl`: the modules of all extras cannot be found.

python tests/cli/plain_llmtl.py decide --predictions one.jsonl two.jsonl
"""

import sys

from llmtl.packages import EXTRAS

FINDERS = tuple(sys.meta_path)


class WithoutExtras:
    """Finds what the usual finders find, but no module of an extra."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            return None
        found = (finder.find_spec(name, path, target) for finder in FINDERS)
        return next((spec for spec in found if spec), None)

    @staticmethod
    def find_distributions(context):
        for finder in FINDERS:
            yield from getattr(finder, "find_distributions", lambda _: ())(context)

    @staticmethod
    def invalidate_caches():
        pass


if __name__ == "__main__":
    sys.meta_path[:] = [WithoutExtras]
    from llmtl.cli import main

    code = main()
    assert not EXTRAS.keys() & sys.modules.keys()
    sys.exit(code)

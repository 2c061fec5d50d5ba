"""What a judge was shown, read back from a request, and a judge that prefers the longer output."""

import json
import re

from tests.support.hosted_server import completion


def shown(body):
    """Return the two outputs in the order in which they were shown."""
    text = body["messages"][-1]["content"]
    return tuple(re.search(rf"<output_{name}>\n(.*)\n</output_{name}>", text, re.DOTALL)[1] for name in "AB")


def says(verdict, **usage):
    """Return a completion with a verdict."""
    return completion(json.dumps({"verdict": verdict}), **{"prompt_tokens": 200, "completion_tokens": 6} | usage)


def longer(body):
    """Return a verdict for the longer output, whatever the order."""
    first, second = map(len, shown(body))
    return says("tie" if first == second else "A" if first > second else "B")

"""What a request to vLLM says of an answer's form."""

from dataclasses import replace
from pathlib import Path

import pytest

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.kinds.generation import GENERATION
from llmtl.prompting.template import Template
from llmtl.serving.bundle.constraint import decoding, output_of
from llmtl.serving.bundle.source import MeasuredStrategy
from llmtl.strategies.zero_shot import ZeroShot
from llmtl.strategy import PromptServed
from llmtl.task import Metric, Task
from tests.support.small_bundle import small_bundle

TEXT = Task("reply", (), "Answer.", Metric.CHRF, kind=GENERATION)


class Fixed:
    """A predictor that only says how it is served."""

    def served(self):
        return PromptServed(max_tokens=24)


MEASURED = MeasuredStrategy(ZeroShot.facts, test=None, folder=Path(), load=Fixed)


@pytest.mark.parametrize(("folder", "stop"), [("tiny_base", "\n"), ("tiny_llama", None)])
def test_a_base_models_text_ends_with_the_line_as_measured(request, folder, stop):
    engine = TransformersEngine.load(ModelSource(str(request.getfixturevalue(folder))), device="cpu")
    output = output_of(Template(TEXT, engine), MEASURED)
    assert (output.form, output.max_tokens, output.stop) == ("text", 24, stop)
    fields = decoding(replace(small_bundle(output=output), end_token=1))
    assert fields.pop("stop", [None]) == [stop]
    assert fields == {"temperature": 0, "stop_token_ids": [1], "max_tokens": 24}

"""What the report says of texts that an encoder cannot read at once."""

from dataclasses import replace

from llmtl.findings import LongInputs
from llmtl.report.how_measured import lines
from tests.support.report_factory import few_rows


def said(found):
    content = few_rows()
    told = lines(replace(content, fit_findings={**content.fit_findings, "encoder": (found,)}))
    return [line for line in told if line.startswith("encoder:")]


def test_texts_that_were_read_in_windows_are_counted():
    assert said(LongInputs("minilm", 512, inputs=4000, longer=30)) == [
        "encoder: 30 of 4,000 texts of train and dev are longer than the 512 tokens that it reads at once, "
        "and were read in windows that overlap."
    ]
    assert said(LongInputs("minilm", 512, inputs=4000, longer=0)) == []


def test_an_encoder_that_was_taken_for_long_texts_is_told():
    [line] = said(LongInputs("allenai/longformer-base-4096", 4096, inputs=40, longer=1, instead_of="minilm"))
    assert line.endswith("It took that encoder because another reads less ('minilm').")

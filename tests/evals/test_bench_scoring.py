"""The sums by which the scoring benchmark compares labels with lm-evaluation-harness, against plain forward passes."""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

from llmtl.engines import ModelSource
from llmtl.engines.transformers.engine import TransformersEngine
from llmtl.task import Example

EVALS = Path(__file__).parents[2] / "evals"
pytestmark = pytest.mark.skipif(not EVALS.is_dir(), reason="the evals folder is not there")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(EVALS)
    import bench_scoring

    yield bench_scoring
    for name in ("bench_scoring", "plain_scoring", "written_results"):
        sys.modules.pop(name, None)


def test_sums_over_the_whole_vocabulary_are_those_of_plain_forward_passes(bench, tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")
    prompt, answers = "<|bos|>Message: I lost my card. Label:", [" card", " card lost", " card arrival", " refund"]
    expected = []
    for answer in answers:
        ids = [engine.tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, prompt + answer)]
        whole = [*ids[1], engine.tokenizer.convert_tokens_to_ids(engine.end_of_answer)]
        with torch.inference_mode():
            logprobs = engine._model(torch.tensor([whole])).logits[0].log_softmax(-1)
        expected.append(sum(float(logprobs[at - 1, whole[at]]) for at in range(len(ids[0]), len(whole))))
    assert bench.full_vocabulary_sums(engine, prompt, answers) == pytest.approx(expected, abs=1e-4)


def test_workloads_show_only_their_labels_and_share_their_demonstrations(bench, tiny_llama):
    engine = TransformersEngine.load(ModelSource(str(tiny_llama)), device="cpu")
    rows = [Example(str(index), f"text {index}", f"label {index % 9}") for index in range(90)]
    work = bench.workload(engine, rows, rows, labels=3, examples=5, demonstrations=2)
    assert (len(work.prompts), len(work.answers), len(set(work.prompts))) == (5, 3, 5)
    assert work.labels == ("label 0", "label 3", "label 6")
    assert len({prompt.rpartition("<|user|>")[0] for prompt in work.prompts}) == 1


def test_missing_data_is_said_in_one_line(bench, tmp_path):
    with pytest.raises(SystemExit, match=r"There is no train.csv of Banking77; .* --data"):
        bench.read_rows(tmp_path / "train.csv")

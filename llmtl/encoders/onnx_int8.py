"""A module of torch as ONNX with int8 weights, run by ONNX Runtime on a CPU, one row of token ids at a time.

Weights of matrix products are stored in blocks of 8-bit numbers with a scale each, and inputs are rounded to 8 bits
block by block while computing: the operator MatMulNBits of ONNX Runtime (docs/ContribOperators.md, `accuracy_level` 4).
Rows are computed one by one, each with nothing but its own tokens: what comes out does not depend on what else is asked
at once. Not covered: whether answers stay as they were (whoever serves them checks that), GPUs.
"""

import io
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from itertools import cycle, islice
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from llmtl.errors import ModelError
from llmtl.foreign_files import onnx_fault
from llmtl.packages import require
from llmtl.quiet import quiet

INT8_FOLDER, ONNX_FILE = "int8", "encoder.onnx"
"""The folder that a predictor keeps beside its head, and the graph in it."""
OPSET = 21
"""Of 2024; ONNX Runtime reads it since 1.20."""
BLOCK = 128
"""Weights with one scale. On MiniLM smaller blocks are slower (32: by a quarter) and hardly nearer; one scale for the
inputs of a whole product (dynamic quantisation) is faster by a third, and vectors are ten times as far off."""
LENGTHS = (3, 7, 33)
"""Tokens of the rows on which what was written is compared with the module, besides the longest."""
SAME = 1e-3
"""How far float32 may be from the module, by the largest number that it gives: more is not rounding."""
_IDS, _OUT = "input_ids", "output"
Floats = NDArray[np.float32]


def write_onnx_int8(module: Any, folder: Path, *, sample: Sequence[int], longest: int) -> None:
    """Write a module, which maps token ids (1, T) to an array, to `folder` in int8; T is at most `longest`.

    `sample` are ids of plain tokens, on which module and graph are compared before weights are rounded. Raises
    `ModelError` for a module that cannot be written as one graph for all lengths.
    """
    require("An encoder in int8", "onnx", "onnxruntime")
    import onnx
    import torch

    rows = [list(islice(cycle(sample), length)) for length in sorted({*LENGTHS, longest}) if length <= longest]
    module = deepcopy(module).cpu().eval()  # others may be reading with it, on a GPU
    with quiet(), torch.inference_mode():
        content = _exported(module, rows[0])
        expected = [module(torch.tensor([row]))[0].numpy() for row in rows]
    found = OnnxSession(content).run(rows)
    if not all(_alike(*each) for each in zip(found, expected, strict=True)):
        raise ModelError("The encoder reads texts of different lengths in different ways, which ONNX cannot hold.")
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(_in_int8(onnx.load_from_string(content)), folder / ONNX_FILE)


def is_int8(folder: Path) -> bool:
    """Say whether a folder holds an encoder in int8."""
    return (folder / ONNX_FILE).is_file()


class OnnxSession:
    """A graph that is run on rows of token ids, several rows at a time by threads of its own.

    `content` is the file's; raises `ModelError` where it holds more than a plain graph.
    """

    def __init__(self, content: bytes) -> None:
        require("An encoder in int8", "onnx", "onnxruntime")
        import onnxruntime
        import torch
        from onnxruntime.capi import onnxruntime_pybind11_state as state

        fault = onnx_fault(content)
        if fault is not None:
            raise ModelError(f"The encoder in int8 {fault}; export the bundle again.")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1  # rows are spread over threads, not products
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except (state.Fail, state.InvalidGraph, state.InvalidArgument, state.NotImplemented) as error:
            raise ModelError(
                "The encoder in int8 cannot be run by this ONNX Runtime; export the bundle again."
            ) from error
        threads = torch.get_num_threads()  # what OMP_NUM_THREADS says
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="llmtl-int8") if threads > 1 else None

    @classmethod
    def read(cls, folder: Path) -> "OnnxSession":
        """Read what `write_onnx_int8` wrote; raises `ModelError` where it is something else."""
        return cls((folder / ONNX_FILE).read_bytes())

    def run(self, rows: Sequence[Sequence[int]]) -> list[Floats]:
        """Compute each row of token ids, in order."""
        every = map if self._threads is None or len(rows) == 1 else self._threads.map
        return list(every(self._run, rows))

    def _run(self, ids: Sequence[int]) -> Floats:
        [found] = self._session.run([_OUT], {_IDS: np.array([ids], np.int64)})
        return np.asarray(found[0], np.float32)


def _exported(module: Any, row: Sequence[int]) -> bytes:
    """Write a module as an ONNX graph in float32, for rows of any length; raises `ModelError` where that fails."""
    import torch

    file = io.BytesIO()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of tracing, whose outcome is compared
            torch.onnx.export(
                module,
                (torch.tensor([row]),),
                cast("Any", file),  # which the older exporter takes
                input_names=[_IDS],
                output_names=[_OUT],
                dynamic_axes={_IDS: {1: "tokens"}},
                opset_version=OPSET,
                dynamo=False,
            )
    except (RuntimeError, TypeError, ValueError, NotImplementedError, torch.onnx.OnnxExporterError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise ModelError(f"The encoder cannot be written as ONNX ({lines[0].rstrip('.')}).") from error
    return file.getvalue()


def _alike(found: Floats, expected: Floats) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= SAME * np.abs(expected).max())


def _in_int8(model: Any) -> Any:
    """Replace products with constant weights, in place; what else the graph computes stays in float32."""
    from onnx import helper, numpy_helper

    graph = model.graph
    constants = {each.name: each for each in graph.initializer}
    for number, node in enumerate(graph.node):
        weights = constants.get(node.input[1]) if node.op_type == "MatMul" else None
        if weights is None or len(weights.dims) != 2:
            continue
        numbers, scales = _blocks(numpy_helper.to_array(weights))
        named = [numpy_helper.from_array(numbers, f"int8.{number}"), numpy_helper.from_array(scales, f"scale.{number}")]
        graph.initializer.extend(named)
        product = helper.make_node(
            "MatMulNBits",
            [node.input[0], *(each.name for each in named)],
            list(node.output),
            domain="com.microsoft",
            K=weights.dims[0],
            N=weights.dims[1],
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,
        )
        node.CopyFrom(product)
    used = {name for node in graph.node for name in node.input}
    kept = [each for each in graph.initializer if each.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


def _blocks(weights: Floats) -> tuple[NDArray[np.uint8], Floats]:
    """Round weights (K, N) to 8 bits: numbers (N, blocks, block) around 128, and the scale of each block."""
    inputs, outputs = weights.shape
    count = -(-inputs // BLOCK)
    rows = np.zeros((outputs, count * BLOCK), np.float32)
    rows[:, :inputs] = weights.T
    blocks = rows.reshape(outputs, count, BLOCK)
    scales = np.abs(blocks).max(axis=2) / 127
    numbers = np.rint(blocks / np.where(scales == 0, 1, scales)[..., None]) + 128
    return numbers.astype(np.uint8), scales.astype(np.float32)

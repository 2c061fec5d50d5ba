"""A module of torch as ONNX with int8 weights, run by ONNX Runtime on a CPU, one row of token ids at a time.

Weights of matrix products are stored in blocks of 8-bit numbers with a scale each, and inputs are rounded to 8 bits
block by block while computing: the operator MatMulNBits of ONNX Runtime (docs/ContribOperators.md, `accuracy_level` 4).
Rows are computed one by one, each with nothing but its own tokens: what comes out does not depend on what else is asked
at once. Any of the products can stay in float32: those come first whose rounding alone moves the output the most, as
measured on some rows. Not covered: whether answers stay as they were (whoever serves them checks that), GPUs.
"""

import io
import math
import warnings
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
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
FLOAT_SHARES = (0.0, 0.125, 0.25, 0.5)
"""The shares of the products that stay in float32, from form to form."""
JUDGED = 16
"""Rows of tokens on which rounding each product alone is judged."""
_IDS, _OUT = "input_ids", "output"
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Rounded:
    """A form in int8 that was written: so many of its `products` with constant weights are `floats`, in float32."""

    floats: int
    products: int


@dataclass(frozen=True)
class Int8Forms:
    """A module as a graph in float32, and its forms in int8; `rows` are token ids on which rounding is judged."""

    content: bytes
    rows: Sequence[Sequence[int]]

    @classmethod
    def of(cls, module: Any, *, sample: Sequence[int], longest: int, rows: Sequence[Sequence[int]]) -> "Int8Forms":
        """Take a module, which maps token ids (1, T) to an array; T is at most `longest`.

        `sample` are ids of plain tokens, on which module and graph are compared before weights are rounded. Raises
        `ModelError` for a module that cannot be written as one graph for all lengths.
        """
        require("An encoder in int8", "onnx", "onnxruntime")
        import torch

        tried = [list(islice(cycle(sample), length)) for length in sorted({*LENGTHS, longest}) if length <= longest]
        module = deepcopy(module).cpu().eval()  # others may be reading with it, on a GPU
        with quiet(), torch.inference_mode():
            content = _exported(module, tried[0])
            expected = [module(torch.tensor([row]))[0].numpy() for row in tried]
        found = OnnxSession(content).run(tried)
        if not all(_alike(*each) for each in zip(found, expected, strict=True)):
            raise ModelError("The encoder reads texts of different lengths in different ways, which ONNX cannot hold.")
        return cls(content, [list(row[:longest]) for row in rows[:JUDGED]] or tried)

    def written(self, folder: Path) -> Iterator[Rounded]:
        """Write one form after the other to `folder`, each nearer to float32 than the one before, and slower."""
        import onnx

        for count in sorted({math.ceil(share * len(self.products)) for share in FLOAT_SHARES}):
            floats = frozenset(self.by_harm[:count] if count else ())
            folder.mkdir(parents=True, exist_ok=True)
            onnx.save(self._in_int8(floats), folder / ONNX_FILE)
            yield Rounded(len(floats), len(self.products))

    @cached_property
    def products(self) -> tuple[int, ...]:
        """List the places of the products with constant weights in the graph."""
        import onnx

        graph = onnx.load_from_string(self.content).graph
        constants = {each.name: len(each.dims) for each in graph.initializer}
        return tuple(
            at for at, node in enumerate(graph.node) if node.op_type == "MatMul" and constants.get(node.input[1]) == 2
        )

    @cached_property
    def by_harm(self) -> tuple[int, ...]:
        """Order the products by how far rounding each alone moves the output, the farthest first."""
        exact = OnnxSession(self.content).run(self.rows)
        harm = {}
        for at in self.products:
            alone = OnnxSession(self._in_int8(frozenset(self.products) - {at}).SerializeToString()).run(self.rows)
            harm[at] = sum(float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(alone, exact, strict=True))
        return tuple(sorted(self.products, key=lambda at: -harm[at]))

    def _in_int8(self, floats: Collection[int]) -> Any:
        """Make the graph with its products rounded, but for those at `floats`."""
        import onnx
        from onnx import helper, numpy_helper

        model = onnx.load_from_string(self.content)
        graph = model.graph
        constants = {each.name: each for each in graph.initializer}
        for number in self.products:
            if number in floats:
                continue
            node = graph.node[number]
            weights = constants[node.input[1]]
            numbers, scales = _blocks(numpy_helper.to_array(weights))
            named = [
                numpy_helper.from_array(numbers, f"int8.{number}"),
                numpy_helper.from_array(scales, f"scale.{number}"),
            ]
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

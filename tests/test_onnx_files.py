"""ONNX models from elsewhere: plain graphs alone are taken."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from llmtl.foreign_files import onnx_fault

VALUE = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])


def weights(**changes):
    tensor = numpy_helper.from_array(np.ones(1, np.float32), "w")
    for key, value in changes.items():
        setattr(tensor, key, value)
    return tensor


def model(*nodes, tensors=(), **more):
    graph = helper.make_graph(list(nodes) or [helper.make_node("Add", ["x", "w"], ["y"])], "g", [VALUE], [])
    graph.initializer.extend(tensors or [weights()])
    return helper.make_model(graph, **more)


def elsewhere():
    tensor = weights(data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    return tensor


def test_a_plain_graph_is_data():
    product = helper.make_node("MatMulNBits", ["x", "w"], ["y"], domain="com.microsoft")
    assert onnx_fault(model(product).SerializeToString()) is None


@pytest.mark.parametrize(
    ("odd", "said"),
    [
        (model(tensors=[elsewhere()]), "takes the numbers of 'w' from elsewhere"),
        (model(helper.make_node("Constant", [], ["y"], value=elsewhere())), "takes the numbers of 'w' from elsewhere"),
        (
            model(helper.make_node("If", ["x"], ["y"], then_branch=model(tensors=[elsewhere()]).graph)),
            "takes the numbers of 'w' from elsewhere",
        ),
        (model(helper.make_node("Own", [], ["y"], domain="evil")), "asks for the operator 'Own' of 'evil'"),
        (
            model(helper.make_node("EPContext", [], ["y"], domain="com.microsoft")),
            "asks for the operator 'EPContext' of 'com.microsoft'",
        ),
        (
            model(functions=[helper.make_function("evil", "F", ["a"], ["b"], [], [])]),
            "brings more than a graph",
        ),
    ],
)
def test_what_is_elsewhere_or_unknown_is_named(odd, said):
    assert onnx_fault(odd.SerializeToString()) == said


def test_options_of_the_runtime_and_other_content_are_refused():
    odd = model()
    odd.metadata_props.add(key="ort_config", value="{}")
    assert onnx_fault(odd.SerializeToString()) == "brings more than a graph"
    assert onnx_fault(b"PK\x03\x04 not a model") == "is not an ONNX model"
    assert onnx_fault(model().SerializeToString() + b"\xf8\x07\x01") == "holds more than an ONNX model"

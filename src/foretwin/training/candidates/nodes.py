"""Writing of ONNX nodes by hand, and sessions of small graphs."""

from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

TREES = "ai.onnx.ml"
OPSETS = {"": 18, TREES: 5}
IR_VERSION = 10


class GraphNodes:
    """Nodes and constants of a graph under construction; every result gets a name of its own."""

    def __init__(self, prefix: str) -> None:
        """All names begin with `prefix`."""
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, values: NDArray[Any]) -> str:
        """Add a constant and return its name."""
        name = f"{self.prefix}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def number(self, value: float) -> str:
        """Add a single-precision number and return its name."""
        return self.constant(np.array(value, np.float32))

    def node(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        name = f"{self.prefix}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name, domain=domain, **attributes))
        return name

    def nodes_of(self, kind: str, outputs: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several outputs and return their names."""
        names = [f"{self.prefix}{kind}_{len(self.nodes)}/{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, names[0], **attributes))
        return names

    def name(self, result: str, output: str) -> None:
        """Give a result the name of an output of the graph."""
        self.nodes.append(helper.make_node("Identity", [result], [output], f"{self.prefix}{output}"))


class Part(Protocol):
    """A fitted model of one question, as plain arrays."""

    def add_to(self, graph: GraphNodes, features: str) -> str:
        """Add the nodes that answer features (B, F), single precision, by (B, K), single precision; name the answer."""


def open_session(model: bytes | onnx.ModelProto) -> ort.InferenceSession:
    """Open a graph on one thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    content = model if isinstance(model, bytes) else model.SerializeToString()
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def run_part(part: Part, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Answer features (N, F) by a part's own nodes -> (N, K)."""
    graph = GraphNodes("")
    graph.name(part.add_to(graph, "features"), "answer")
    given = helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", features.shape[1]])
    answer = helper.make_tensor_value_info("answer", TensorProto.FLOAT, ["batch", None])
    drawn = helper.make_graph(graph.nodes, "part", [given], [answer], graph.constants)
    opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
    session = open_session(helper.make_model(drawn, opset_imports=opsets, ir_version=IR_VERSION))
    found: NDArray[np.float32] = session.run(["answer"], {"features": features})[0]
    return found

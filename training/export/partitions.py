"""The part of a graph that XNNPACK runs; every piece outside costs a copy and a slow reference kernel."""

from dataclasses import dataclass
from pathlib import Path

from edge.inference.runtime import interpreter_class


@dataclass(frozen=True)
class Partitions:
    """Operations of the graph, pieces that the delegate runs, and whether one piece is the whole graph."""

    operations: int
    delegated_pieces: int
    whole: bool


def xnnpack_partitions(model: Path) -> Partitions:
    """Inspect the loaded interpreter: a delegate node with the input and every output is the whole graph."""
    interpreter = interpreter_class()(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()  # the runtime has no public list of nodes
    pieces = [node for node in nodes if node["op_name"] == "DELEGATE"]
    entry = {detail["index"] for detail in interpreter.get_input_details()}
    exits = {detail["index"] for detail in interpreter.get_output_details()}
    whole = len(pieces) == 1 and entry <= set(pieces[0]["inputs"]) and exits <= set(pieces[0]["outputs"])
    return Partitions(len(nodes) - len(pieces), len(pieces), whole)

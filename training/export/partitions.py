"""How much of a graph XNNPACK runs: every piece it leaves out costs a hand-over and a slow reference kernel."""

from dataclasses import dataclass
from pathlib import Path

from edge.inference.runtime import interpreter_class


@dataclass(frozen=True)
class Partitions:
    """Operations of the graph, pieces handed to the delegate, and whether one piece is the whole graph."""

    operations: int
    delegated_pieces: int
    whole: bool


def xnnpack_partitions(model: Path) -> Partitions:
    """Read from the loaded interpreter: one delegate node that takes the input and gives every output is the whole."""
    interpreter = interpreter_class()(model_path=str(model), num_threads=1)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()  # the runtime has no public list of its nodes
    pieces = [node for node in nodes if node["op_name"] == "DELEGATE"]
    entry = {detail["index"] for detail in interpreter.get_input_details()}
    exits = {detail["index"] for detail in interpreter.get_output_details()}
    whole = len(pieces) == 1 and entry <= set(pieces[0]["inputs"]) and exits <= set(pieces[0]["outputs"])
    return Partitions(len(nodes) - len(pieces), len(pieces), whole)

"""The encoder of faces: data, network, losses, evaluation, report."""

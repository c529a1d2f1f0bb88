"""The face detector: data, network, loss, evaluation, report."""

"""The metrics of an encoder during the training. They go to the log; nothing is chosen by them."""

import numpy as np

from training.data.lfw import Pairs
from training.embedder.encoder import Encoder
from training.embedder.training_set import TrainingSet
from training.engine.trainer import Metrics
from training.evaluate.verification import ten_fold_accuracy


def accuracy(encoder: Encoder, encodings: np.ndarray, pairs: Pairs) -> float:
    """Ten-fold accuracy on pairs of these encodings, (N, D)."""
    distances = encoder.distance(encodings[pairs.first], encodings[pairs.second])
    return round(ten_fold_accuracy(distances, pairs)[0], 5)


def lfw_metrics(encoder: Encoder, training_set: TrainingSet) -> Metrics:
    """Accuracy on LFW, where the data has it."""
    if training_set.lfw is None:
        return {}
    encodings = encoder.encode(training_set.lfw.images)
    return {"lfw_accuracy": accuracy(encoder, encodings, training_set.lfw.pairs)}

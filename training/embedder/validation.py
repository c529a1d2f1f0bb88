"""The metrics of an encoder during the training. They go to the log; nothing is chosen by them."""

import numpy as np

from training.data.lfw import Pairs
from training.embedder.encoder import Encoder
from training.embedder.training_set import TrainingSet
from training.engine.trainer import Metrics
from training.evaluate.verification import ten_fold_accuracy

LEARNED_CROPS = 1000


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


def teacher_metrics(encoder: Encoder, training_set: TrainingSet, encodings: np.ndarray) -> Metrics:
    """Mean cosine to the teacher on clean crops that were learned from, and on those of held-out people.

    encodings: (N, D) of the held-out crops. Where the first goes on rising and the second does not, the network
    memorises. Empty without a teacher, or where the encoder has another dimension.
    """
    learned, unseen = training_set.train, training_set.held_out
    if learned.teacher is None or unseen.teacher is None or learned.teacher.shape[1] != encodings.shape[1]:
        return {}
    drawn = np.random.default_rng(0).choice(len(learned), min(LEARNED_CROPS, len(learned)), replace=False)
    again = encoder.encode(np.stack([learned.crop(row) for row in drawn]))
    return {
        "teacher_cosine_learned": _mean_cosine(again, learned.teacher[drawn]),
        "teacher_cosine_held_out": _mean_cosine(encodings, unseen.teacher),
    }


def _mean_cosine(encodings: np.ndarray, teacher: np.ndarray) -> float:
    return round(float((encodings * teacher).sum(axis=1).mean()), 5)

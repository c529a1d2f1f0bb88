import pytest
import torch

from edge.errors import ExperimentError
from training.engine.encoder_experiment import KochConfig
from training.engine.experiment_files import load_experiment
from training.export.counts import count_parameters
from training.omniglot.koch import KochNetwork, PairLoss


def test_the_published_size_has_the_published_number_of_parameters():
    network, loss = KochNetwork(KochConfig()), PairLoss(KochConfig().dimension)
    assert count_parameters(network) + count_parameters(loss) == 38_951_745  # as Koch et al. 2015 count them


def test_the_small_network_encodes_between_0_and_1():
    config = load_experiment("omniglot-koch").backbone
    answers = KochNetwork(config)(torch.zeros(2, 1, config.input_px, config.input_px))
    assert answers.shape == (2, config.units)
    assert ((answers > 0) & (answers < 1)).all()


def test_the_pair_loss_is_that_of_a_plain_loop():
    torch.manual_seed(0)
    loss = PairLoss(3)
    encodings = torch.rand(6, 3)
    weights, bias = loss.weigh.weight[0], loss.weigh.bias[0]
    by_hand = []
    for first, second, same in ((0, 1, 1), (2, 3, 1), (4, 5, 1), (0, 5, 0), (2, 1, 0), (4, 3, 0)):
        p = torch.sigmoid((weights * (encodings[first] - encodings[second]).abs()).sum() + bias)
        by_hand.append(-torch.log(p if same else 1 - p))
    assert loss(encodings)["total"].item() == pytest.approx(torch.stack(by_hand).mean().item(), abs=1e-6)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("kernels = [5, 3, 3, 2]", "kernels = [5, 3, 3, 9]"), r"kernels \[5, 3, 3, 9\] leave nothing of 56 px"),
        (("crops_per_person = 2", "crops_per_person = 4"), "pairs need sampler.kind"),
    ],
)
def test_an_invalid_shape_or_sampler_is_refused(tmp_path, change, complaint):
    from training.engine.experiment_files import EXPERIMENTS_DIR

    text = (EXPERIMENTS_DIR / "omniglot-koch.toml").read_text()
    assert change[0] in text
    path = tmp_path / "omniglot-koch.toml"
    path.write_text(text.replace(*change))
    with pytest.raises(ExperimentError, match=complaint):
        load_experiment(str(path))

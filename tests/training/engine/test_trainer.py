"""A long run survives a kill, and two processes train what one does."""

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from lightning_fabric import Fabric

from edge.errors import ExperimentError
from training.cli import main
from training.embedder.backbone import Backbone
from training.embedder.lineage import trained_backbone
from training.engine.checkpoints import CHECKPOINT, load_checkpoint, read_checkpoint
from training.engine.encoder_experiment import SamplerConfig, SizeStep
from training.engine.experiment import OptimizerConfig
from training.engine.experiment_files import load_experiment
from training.engine.run_log import LOG, read_log
from training.engine.trainer import update
from training.engine.weights import digest_of_weights


def written(experiment, folder):
    path = folder / f"{experiment.name}.toml"
    path.write_bytes(msgspec.toml.encode(experiment))
    assert load_experiment(str(path)) == experiment
    return path


def fit_command(experiment_file, runs, *options):
    fit = ["fit", str(experiment_file), "--runs", str(runs), "--cache", str(runs), "--precision", "32-true", "--quiet"]
    return [sys.executable, "-m", "training", *fit, "--threads", "1", "--workers", "0", *options]


def fit(experiment_file, runs, *options):
    """Train in this process."""
    done = CliRunner().invoke(main, fit_command(experiment_file, runs, *options)[3:])
    assert done.exit_code == 0, done.output
    return losses(runs)


def fit_by_itself(experiment_file, runs, *options):
    """Train in a process that does nothing else."""
    done = subprocess.run(fit_command(experiment_file, runs, *options), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return losses(runs)


def losses(runs):
    return [line for line in read_log(runs / "tiny" / LOG) if "total" in line]


def refusal(experiment_file, runs):
    """The message of a fit that is refused, run in this process."""
    done = CliRunner().invoke(main, fit_command(experiment_file, runs)[3:])
    assert done.exit_code == 1
    assert isinstance(done.exception, SystemExit)
    return " ".join(done.output.split())


@pytest.fixture(scope="module")
def finished(tiny, tmp_path_factory):
    """The folder of runs with a finished run of `tiny`."""
    runs = tmp_path_factory.mktemp("finished")
    fit(written(tiny, runs), runs)
    return runs


@pytest.fixture
def runs(finished, tmp_path):
    """A copy of it, to go on from."""
    return shutil.copytree(finished, tmp_path / "runs")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["adamw", "muon, pictures of growing size"])
def test_a_killed_run_resumes_and_ends_as_if_nothing_had_happened(recipe, tiny, finished, tmp_path):
    whole, torn = finished, tmp_path / "torn"
    if recipe != "adamw":
        optimizer = msgspec.structs.replace(tiny.optimizer, kind="muon", schedule="inverse_sqrt")
        tiny = msgspec.structs.replace(tiny, optimizer=optimizer, sizes=(SizeStep(48, 32 * 20), SizeStep(64, 32 * 40)))
        whole = tmp_path / "whole"
        fit(written(tiny, tmp_path), whole)
    experiment_file = written(tiny, tmp_path)
    expected = losses(whole)

    process = subprocess.Popen(fit_command(experiment_file, torn), stderr=subprocess.DEVNULL)
    checkpoint = torn / "tiny" / CHECKPOINT
    deadline = time.monotonic() + 120
    while not checkpoint.is_file() and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    stopped_at = read_checkpoint(checkpoint, tiny)["step"]
    assert 0 < stopped_at < tiny.steps

    resumed = fit(experiment_file, torn)
    assert [line["step"] for line in resumed] == [line["step"] for line in expected]
    assert [line["total"] for line in resumed] == pytest.approx([line["total"] for line in expected], abs=1e-5)
    ends = [trained_backbone(tiny, runs).state_dict() for runs in (whole, torn)]
    for name, weights in ends[0].items():
        assert torch.allclose(weights.float(), ends[1][name].float(), atol=1e-5), name


@pytest.mark.slow
def test_two_processes_train_what_one_does(tiny, tmp_path):
    # Each process normalises over its own half of the batch: large halves, so that this costs only noise.
    large = msgspec.structs.replace(
        tiny, sampler=SamplerConfig(kind="uniform", batch_size=128), optimizer=OptimizerConfig(images=128 * 40)
    )
    experiment_file = tmp_path / "tiny.toml"
    experiment_file.write_bytes(msgspec.toml.encode(large))
    one = np.array([line["total"] for line in fit(experiment_file, tmp_path / "one")])
    two = np.array([line["total"] for line in fit_by_itself(experiment_file, tmp_path / "two", "--devices", "2")])
    learned = one[0] - one[-1]
    assert learned > 0.3  # it did learn something to compare
    assert np.abs(one - two).max() < 0.1 * learned
    assert trained_backbone(large, tmp_path / "two").state_dict().keys() == Backbone(large.backbone).state_dict().keys()


@pytest.mark.slow
def test_the_processor_seconds_of_a_run_are_counted_over_its_resumes(tiny, runs):
    path = runs / "tiny" / CHECKPOINT
    checkpoint = read_checkpoint(path, tiny)
    log = read_log(runs / "tiny" / LOG)
    seconds = [line["processor_seconds"] for line in log if "processor_seconds" in line]
    assert seconds == sorted(seconds)
    assert 0 < seconds[0] < seconds[-1] <= checkpoint["processor_seconds"] + 0.1
    torch.save(checkpoint | {"step": tiny.steps - 5, "processor_seconds": 1000.0}, path)
    fit(written(tiny, runs), runs)
    assert 1000 < read_checkpoint(path, tiny)["processor_seconds"] < 1000 + checkpoint["processor_seconds"]
    assert read_log(runs / "tiny" / LOG)[-2]["processor_seconds"] > 1000

    # Runs in progress have these keys: a resume must find them.
    assert list(checkpoint) == [
        "experiment", "fingerprint", "data", "started_from", "step", "processor_seconds", "module", "optimizer_0",
    ]  # fmt: skip
    assert {name.split(".")[0] for name in checkpoint["module"]} == {"backbone", "loss"}


@pytest.mark.slow
def test_another_experiments_checkpoint_is_refused_by_name(tiny, runs, tmp_path):
    other = msgspec.structs.replace(tiny, seed=1)
    with pytest.raises(ExperimentError, match=r"checkpoint .* belongs to experiment 'tiny' .*, not to 'tiny'"):
        read_checkpoint(runs / "tiny" / CHECKPOINT, other)
    path = tmp_path / "other.toml"
    path.write_bytes(msgspec.toml.encode(other))
    assert "belongs to experiment 'tiny'" in refusal(path, runs)


def test_a_checkpoint_of_other_pictures_is_refused(tiny, tmp_path):
    (tmp_path / "tiny").mkdir()
    saved = {"experiment": "tiny", "fingerprint": tiny.fingerprint(), "data": "aaa", "step": 5}
    torch.save(saved, tmp_path / "tiny" / CHECKPOINT)
    with pytest.raises(ExperimentError, match=r"was trained on other data \(aaa\) than the present \(bbb\)"):
        load_checkpoint(tmp_path / "tiny", tiny, module=None, optimizers=[], data_digest="bbb")


@pytest.mark.slow
def test_a_launcher_that_started_another_number_of_processes_is_refused(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "2 processes were launched, but devices x nodes is 1" in refusal(written(tiny, tmp_path), tmp_path)


def test_a_broken_or_missing_checkpoint_is_named(tiny, tmp_path):
    with pytest.raises(ExperimentError, match=r"'tiny' has no checkpoint .*checkpoint\.pt: run fit first"):
        trained_backbone(tiny, tmp_path)
    (tmp_path / "tiny").mkdir()
    torch.save({"module": torch.zeros(3000)}, tmp_path / "whole")
    whole = (tmp_path / "whole").read_bytes()
    for content in (b"half a checkpoint", b"", whole[: len(whole) // 2]):  # a power cut may leave it empty
        (tmp_path / "tiny" / CHECKPOINT).write_bytes(content)
        with pytest.raises(
            ExperimentError, match=r"checkpoint .*\.pt cannot be read \(.+\): where it is damaged, restore it, or"
        ):
            trained_backbone(tiny, tmp_path)


def test_a_checkpoint_of_a_run_that_started_from_other_weights_is_refused(tiny, tmp_path):
    """The file was replaced meanwhile: its lineage and terms are no longer those of the run."""
    weights = tmp_path / "kept.safetensors"
    weights.write_bytes(b"those of before")
    started = msgspec.structs.replace(tiny, from_weights=str(weights))
    saved = {"experiment": "tiny", "fingerprint": started.fingerprint(), "started_from": digest_of_weights(started)}
    torch.save(saved, tmp_path / CHECKPOINT)
    assert read_checkpoint(tmp_path / CHECKPOINT, started) == saved
    progress = load_checkpoint(tmp_path / "fresh", started, module=None, optimizers=[], data_digest="")
    weights.write_bytes(b"others")
    assert progress.started_from == saved["started_from"]  # of what was read, not of what is there later
    with pytest.raises(ExperimentError, match="was started from other weights than the present: restore them"):
        read_checkpoint(tmp_path / CHECKPOINT, started)


def test_a_gradient_that_is_not_finite_ends_the_run_with_its_step(tiny):
    module = torch.nn.Linear(2, 1)
    module.weight.grad = torch.full_like(module.weight, float("nan"))
    optimizer = torch.optim.SGD([{"params": [*module.parameters()], "peak": 0.1}], lr=0.1)
    before = module.weight.detach().clone()
    with pytest.raises(ExperimentError, match="'tiny' diverges: at step 7 the gradient is not finite; lower"):
        update(module, [optimizer], 7, tiny, Fabric(accelerator="cpu", devices=1))
    assert torch.equal(module.weight, before)


@pytest.mark.slow
def test_a_second_process_does_not_train_in_the_same_folder(tiny, tmp_path):
    with alone_in_folder(tmp_path / "tiny"):
        assert f"another process trains in {tmp_path / 'tiny'}: wait for it" in refusal(
            written(tiny, tmp_path), tmp_path
        )


@contextmanager
def alone_in_folder(folder):
    """Another process that trains there."""
    folder.mkdir()
    code = "import sys, time\nfrom pathlib import Path\nfrom training.engine.workspace import alone_in\n"
    code += "with alone_in(Path(sys.argv[1])):\n    print('ready', flush=True)\n    time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            other.kill()


def test_a_log_that_a_kill_cut_off_loses_only_its_last_line(tmp_path):
    (tmp_path / LOG).write_bytes(b'{"step": 1}\nnull\n\xff\n{"step": 2}\n{"st')
    assert read_log(tmp_path / LOG) == [{"step": 1}, {"step": 2}]

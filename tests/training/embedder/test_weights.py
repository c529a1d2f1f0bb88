import json

import msgspec
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from edge.errors import ExperimentError
from training.cli import main
from training.data.terms import DRAWN, OLDER_RESEARCH_ONLY, RESEARCH_ONLY, YOUR_OWN
from training.embedder.backbone import Backbone
from training.embedder.lineage import lineage, terms, trained_backbone
from training.embedder.weights import weights_to_start_from
from training.engine import weights
from training.engine.encoder_experiment import DataConfig
from training.engine.experiment import OptimizerConfig
from training.engine.experiment_files import with_weights
from training.engine.weights import find_weights, read_weights, save_weights


@pytest.fixture
def about(tiny):
    return {
        "backbone": msgspec.to_builtins(tiny.backbone),
        "data": msgspec.to_builtins(tiny.data),
        "lineage": {"experiment": "tiny", "images_seen": 3200},
        "terms": DRAWN,
    }


@pytest.fixture
def saved(tiny, about, tmp_path):
    """A backbone, and the file of its weights."""
    torch.manual_seed(3)
    backbone = Backbone(tiny.backbone)
    backbone(torch.randn(4, 3, 112, 112))  # the running means are no longer zero
    return backbone, save_weights(backbone, about, tmp_path / "deep" / "tiny.safetensors")


def test_weights_are_saved_in_half_precision_with_their_lineage(saved, about, tiny):
    backbone, path = saved
    state, told = read_weights(str(path))
    assert told == json.loads(json.dumps(about))
    for name, value in backbone.state_dict().items():
        assert state[name].dtype == value.dtype
        assert torch.equal(state[name], value.half().float() if value.is_floating_point() else value)
    assert path.stat().st_size < 2.2 * sum(value.numel() for value in state.values()) + 20_000
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    Backbone(tiny.backbone).load_state_dict(weights_to_start_from(with_weights(tiny, str(path))))


def test_an_unknown_name_is_refused_with_the_known_names(saved, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "WEIGHTS_DIR", tmp_path / "none")
    with pytest.raises(ExperimentError, match=r"no weights 'mine': there is no file .*mine\.safetensors; .* none$"):
        find_weights("mine")
    monkeypatch.setattr(weights, "WEIGHTS_DIR", saved[1].parent)
    with pytest.raises(ExperimentError, match="known weights: tiny"):
        weights_to_start_from(with_weights(tiny, "mine"))
    assert find_weights("tiny") == saved[1]


@pytest.mark.parametrize("content", [b"", b"no weights", "no metadata"])
def test_a_file_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "broken.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ExperimentError, match=r"weights .*broken\.safetensors cannot be read"):
        read_weights(str(path))


def test_another_backbone_is_refused(saved, tiny):
    other = msgspec.structs.replace(tiny, backbone=msgspec.structs.replace(tiny.backbone, head=64))
    with pytest.raises(ExperimentError, match=r"'tiny' starts from weights .* of another backbone"):
        weights_to_start_from(with_weights(other, str(saved[1])))


def test_weights_that_were_trained_on_people_to_be_held_out_are_refused(saved, tiny):
    more = msgspec.structs.replace(tiny, data=msgspec.structs.replace(tiny.data, held_out_fraction=0.5))
    with pytest.raises(ExperimentError, match=r"holds out 0\.5 of the people, but weights .* only 0\.25"):
        weights_to_start_from(with_weights(more, str(saved[1])))
    folder = msgspec.structs.replace(more, data=DataConfig(source="folder", held_out_fraction=0.5))
    assert weights_to_start_from(with_weights(folder, str(saved[1])))  # the people of a folder are others


def test_lineage_and_terms_are_those_of_the_weights(saved, tiny):
    started = with_weights(msgspec.structs.replace(tiny, data=DataConfig(source="folder")), str(saved[1]))
    assert lineage(started)["started_from"] == {"experiment": "tiny", "images_seen": 3200}
    assert terms(started) == YOUR_OWN
    assert terms(msgspec.structs.replace(started, data=tiny.data)) == DRAWN


def test_the_terms_of_all_that_was_learned_from_are_told(saved, about, tiny, tmp_path):
    research = save_weights(saved[0], about | {"terms": RESEARCH_ONLY}, tmp_path / "research.safetensors")
    mine = with_weights(msgspec.structs.replace(tiny, data=DataConfig(source="folder")), str(research))
    assert terms(mine) == f"{RESEARCH_ONLY} {YOUR_OWN}"
    assert terms(msgspec.structs.replace(mine, data=tiny.data)) == RESEARCH_ONLY
    again = save_weights(saved[0], about | {"terms": terms(mine)}, tmp_path / "mine.safetensors")
    assert terms(with_weights(mine, str(again))) == terms(mine)
    packs = msgspec.structs.replace(tiny, data=DataConfig(source="packs", packs=("pins",), teacher="kw_mobilefacenet"))
    assert terms(with_weights(packs, str(research))) == RESEARCH_ONLY
    older = save_weights(saved[0], about | {"terms": OLDER_RESEARCH_ONLY}, tmp_path / "older.safetensors")
    assert terms(with_weights(packs, str(older))) == RESEARCH_ONLY
    assert terms(with_weights(packs, str(again))) == f"{RESEARCH_ONLY} {YOUR_OWN}"
    theirs = save_weights(saved[0], about | {"terms": "Name the authors."}, tmp_path / "theirs.safetensors")
    assert terms(with_weights(packs, str(theirs))) == f"Name the authors. {RESEARCH_ONLY}"


@pytest.mark.parametrize("told", [["a list"], {"backbone": {}}, {"terms": None}, {"lineage": None}])
def test_weights_that_do_not_tell_what_they_are_of_are_refused(saved, about, tiny, tmp_path, told):
    other = save_weights(saved[0], about | told if isinstance(told, dict) else told, tmp_path / "other.safetensors")
    with pytest.raises(ExperimentError, match=r"weights .*other\.safetensors (are not an embedder's|cannot be read)"):
        weights_to_start_from(with_weights(tiny, str(other)))


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return result, " ".join(result.output.split())


@pytest.mark.slow
def test_a_run_continues_from_the_weights_of_another_through_the_commands(tiny, tmp_path):
    first, mine = tmp_path / "tiny.toml", tmp_path / "mine.toml"
    short = msgspec.structs.replace(tiny, optimizer=OptimizerConfig(images=32 * 20, warmup_images=32))
    still = OptimizerConfig(images=32 * 2, warmup_images=32, peak_learning_rate=1e-9, weight_decay=0.0)
    second = msgspec.structs.replace(tiny, name="mine", optimizer=still)
    first.write_bytes(msgspec.toml.encode(short))
    mine.write_bytes(msgspec.toml.encode(second))
    folders = ["--runs", tmp_path, "--cache", tmp_path]
    machine = ["--threads", 1, "--workers", 0, "--precision", "32-true", "--quiet"]
    path = tmp_path / "kept.safetensors"

    assert run("weights", first, *folders)[0].exit_code == 1  # there is no run yet
    assert run("fit", first, *folders, *machine)[0].exit_code == 0
    result, text = run("weights", first, *folders, "--to", path)
    assert (result.exit_code, path.is_file()) == (0, True)
    assert "after 640 images, the last of 112 px; Trained on drawings" in text
    told = read_weights(str(path))[1]
    assert told["finished"] is True
    assert told["lineage"]["fingerprint"] == short.fingerprint()
    assert told["processor_seconds"] >= 0

    assert run("fit", mine, "--from", path, *folders, *machine)[0].exit_code == 0
    trained = trained_backbone(with_weights(second, str(path)), tmp_path).state_dict()
    weights_before = trained_backbone(short, tmp_path).state_dict()
    scratch = torch.manual_seed(second.seed) and Backbone(second.backbone).state_dict()
    for name, value in trained.items():
        if name.endswith("weight") and value.ndim == 4:
            assert torch.allclose(value, weights_before[name].half().float(), atol=1e-5), name
            assert not torch.allclose(value, scratch[name], atol=1e-3), name

    result, text = run("weights", mine, *folders)  # the same file is another experiment without --from
    assert result.exit_code == 1
    assert "give the same file and --from as before" in text
    result, text = run("weights", mine, "--from", path, *folders)
    assert result.exit_code == 0
    again = read_weights(str(tmp_path / "mine" / "mine.safetensors"))[1]
    assert again["lineage"]["started_from"] == json.loads(json.dumps(told["lineage"]))

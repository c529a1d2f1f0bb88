"""A bad input gets one line that names it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.conftest import webp
from training.cli import main
from training.engine.experiment_files import EXPERIMENTS_DIR


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def one_line(result, *words):
    assert result.exit_code == 1, result.output
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    assert len(result.output.strip().splitlines()) == 1
    for word in words:
        assert word in result.output


@pytest.mark.parametrize("command", ["fit", "export", "evaluate", "report", "run"])
def test_every_command_explains_itself(command):
    result = run(command, "--help")
    assert result.exit_code == 0
    assert "EXPERIMENT" in result.output
    assert "--data" in result.output


@pytest.mark.parametrize("command", ["fit", "export", "evaluate", "report", "run"])
def test_an_unknown_experiment(command):
    one_line(run(command, "embeder"), "no experiment 'embeder'", "embedder-lite")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "arguments"),
    [("tqdm", ["fit", "smoke"]), ("torch", ["run", "smoke"]), ("scipy", ["omniglot", "smoke-omniglot", "--as-is"])],
)
def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path, package, arguments):
    """In a process of its own, in which nothing is imported yet."""
    code = f"import sys; sys.modules['{package}'] = None; from training.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--runs", tmp_path, "--cache", tmp_path],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"Error: {package} is not installed: pip install torch==2.13.0, then")


def test_a_missing_pack(tmp_path):
    one_line(run("fit", "embedder", "--data", tmp_path, "--runs", tmp_path), "teacher 'kw_mobilefacenet' is missing")
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers" / "kw_mobilefacenet.onnx").write_bytes(b"")
    one_line(run("fit", "embedder", "--data", tmp_path, "--runs", tmp_path), "pack 'celeba_wild' is missing")


def test_a_corrupt_image_in_a_pack(tmp_path, make_pack, face):
    (tmp_path / "teachers").mkdir()
    (tmp_path / "teachers" / "kw_mobilefacenet.onnx").write_bytes(b"")
    (tmp_path / "data" / "faces").mkdir(parents=True)
    pack = make_pack("celeba_wild", {"1/00000.webp": webp(face), "1/00001.webp": webp(face)[:99]})
    pack.rename(tmp_path / "data" / "faces" / "celeba_wild.zip")
    alone = tmp_path / "alone.toml"
    alone.write_text((EXPERIMENTS_DIR / "embedder.toml").read_text().replace('"celeba_small", "pins", ', ""))
    result = run("fit", alone, "--data", tmp_path, "--runs", tmp_path, "--cache", tmp_path)
    assert result.exit_code == 1
    assert result.output.splitlines()[-1] == "Error: celeba_wild/1/00001.webp is not a readable image (99 bytes)"


def test_a_run_that_is_not_finished(tmp_path):
    one_line(
        run("export", "smoke", "--runs", tmp_path, "--cache", tmp_path), "'smoke' has no checkpoint", "run fit first"
    )


def test_a_model_that_is_not_there(tmp_path):
    one_line(run("evaluate", "smoke", "--model", tmp_path / "a.tflite", "--runs", tmp_path), "a.tflite is missing")
    (tmp_path / "b.tflite").write_bytes(b"TFL3 it is not")
    one_line(run("evaluate", "smoke", "--model", tmp_path / "b.tflite"), "has no card b.json beside it")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit", "smoke", "--runs", "{file}/runs"], ["{file}", "Not a directory"]),
        (["export", "smoke", "--from", "", "--runs", "{folder}"], ["--from is empty", ".safetensors"]),
        (["weights", "smoke", "--runs", "{folder}", "--to", "{file}"], ["{file}", "ends in .safetensors"]),
    ],
)
def test_what_cannot_be_written_or_is_not_meant_is_named_and_nothing_is_lost(tmp_path, arguments, words):
    file = tmp_path / "file"
    file.write_text("mine")
    places = {"file": file, "folder": tmp_path}
    one_line(run(*(word.format(**places) for word in arguments)), *(word.format(**places) for word in words))
    assert file.read_text() == "mine"


def test_an_empty_folder_is_named(tmp_path):
    experiment = tmp_path / "mine.toml"
    text = (
        (EXPERIMENTS_DIR / "smoke.toml")
        .read_text()
        .replace('name = "smoke"', 'name = "mine"')
        .replace('"generated"', '"folder"')
    )
    experiment.write_text(text)
    (tmp_path / "pictures").mkdir()
    one_line(run("fit", experiment, "--data", tmp_path / "pictures", "--runs", tmp_path), "pictures is empty")


def test_a_missing_omniglot_is_reported_with_how_to_get_it(tmp_path):
    result = run("omniglot", "--data", tmp_path, "--runs", tmp_path / "runs", "--cache", tmp_path)
    one_line(result, "Omniglot is in neither", "https://github.com/brendenlake/omniglot", "--data")


def test_an_unknown_ladder_row_or_alphabet(tmp_path):
    one_line(
        run("omniglot", "omniglott"), "no ladder 'omniglott'", "known ladders: omniglot, omniglot-full, smoke-omniglot"
    )
    one_line(run("omniglot", "smoke-omniglot", "--only", "smoke"), "has no row 'smoke'", "smoke-omniglot-koch")
    ladder = tmp_path / "mine.toml"
    ladder.write_text("name = 'mine'\nclassifier = 'smoke'\nrow = []")
    one_line(run("omniglot", ladder), "mine.toml", "unknown field `row`")
    ladder.write_text("name = 'mine'\nclassifier = 'smoke'\nrows = [{experiment = 'detector', label = 'x'}]")
    one_line(run("omniglot", ladder, "--runs", tmp_path), "'detector' is not an encoder")
    experiment = tmp_path / "mine-too.toml"
    text = (EXPERIMENTS_DIR / "smoke-omniglot-best.toml").read_text()
    experiment.write_text(text.replace('"drawn-11"', '"Greek"'))
    one_line(run("fit", experiment, "--runs", tmp_path), "held_out_alphabets", "got Greek; known alphabets: drawn-0")


def test_a_ladder_without_a_finished_row_is_refused(tmp_path):
    one_line(run("omniglot", "smoke-omniglot", "--as-is", "--runs", tmp_path), "no row that can ship is finished")


def test_kochs_similarity_cannot_be_exported(tmp_path):
    one_line(run("export", "smoke-omniglot-koch", "--runs", tmp_path), "which no device can compare by")

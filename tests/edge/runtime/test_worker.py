"""The process that reads pictures: within its limits, apart from everything else, and replaced when it is lost."""

import io
import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from edge.config import Config
from edge.core.codes import Code
from edge.core.selection import LeftOut
from edge.errors import RefusedError
from edge.runtime.assembly import Device
from edge.runtime.pictures import CropsTask, FacesTask, SamplesTask, read_pictures
from edge.runtime.worker import PictureWorker, settings_of
from edge.runtime.worker_main import NICE, OOM_SCORE
from edge.runtime.worker_messages import (
    SAYINGS,
    FoundEncoding,
    FoundFaces,
    FoundNone,
    FoundSample,
    Refused,
    array_of,
    found_of,
    read,
    write,
)
from tests.household import base64_of, portrait_jpeg, until

SIZE = 1500  # px of a flat picture
PIXELS_MAX = 16_000_000


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    config = Config(device="porch")
    gallery = replace(config.gallery, path=tmp_path_factory.mktemp("gallery") / "gallery.db")
    with Device.open(replace(config, gallery=gallery)) as opened:
        yield opened


@pytest.fixture(scope="module")
def settings(device):
    return settings_of(Config(), device)


@pytest.fixture
def worker(settings):
    made = PictureWorker(settings)
    yield made
    made.close()


@pytest.fixture(scope="module")
def warm(settings):
    """One for tests that do not harm it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMEN_MQTT_PASSWORD", "open-sesame")
        made = PictureWorker(settings)
        outcome(made, faces_of(portrait_jpeg()))
    yield made
    assert made.lost == 0
    made.close()


@pytest.fixture(scope="module")
def slow():
    """A picture that takes some tenths of a second."""
    return base64_of(np.zeros((SIZE, SIZE, 3), np.uint8), ".png")


def faces_of(*images):
    return FacesTask(list(images), PIXELS_MAX)


def samples_of(*images):
    return SamplesTask(list(images), PIXELS_MAX, together=True, largest=False)


def outcome(worker, task):
    worker.start(task)
    return until(worker.poll)


def refusal(worker, task):
    refused = outcome(worker, task)
    assert isinstance(refused, RefusedError)
    return refused.code, str(refused)


def read_here(device, task):
    rules = device.recognizer.rules.quality
    return list(read_pictures(task, device.detector, device.embedder, rules))


def plain(value):
    """As values that can be compared."""
    return msgspec.to_builtins(value, enc_hook=lambda array: array.tolist())


@pytest.mark.parametrize("make", [faces_of, samples_of])
def test_another_process_finds_the_same(warm, device, make):
    nobody = base64_of(np.zeros((200, 200, 3), np.uint8), ".png")
    task = make(portrait_jpeg(), nobody) if make is samples_of else make(portrait_jpeg())
    found = outcome(warm, task)
    assert plain(found) == plain(read_here(device, task))
    if make is samples_of:
        assert isinstance(found[1], LeftOut)


def test_a_picture_that_is_refused_is_named(warm, settings):
    assert refusal(warm, samples_of(portrait_jpeg(), "%"))[0] == Code.NOT_BASE64
    code, text = refusal(warm, samples_of(portrait_jpeg(), "AAAA"))
    assert code == Code.NOT_AN_IMAGE
    assert text.startswith("image 2 is not ")
    code, text = refusal(warm, faces_of(base64_of(np.zeros((4001, 4000, 3), np.uint8), ".png")))
    assert (code, "at most 16000000 pixels" in text) == (Code.IMAGE_TOO_LARGE, True)
    assert settings.memory_bytes == 14 * PIXELS_MAX


def test_it_stands_back_and_knows_no_secret(warm):
    of_process = Path(f"/proc/{warm._process.pid}")
    assert os.getpriority(os.PRIO_PROCESS, warm._process.pid) == os.nice(0) + NICE
    assert int((of_process / "oom_score_adj").read_text()) >= OOM_SCORE
    assert b"open-sesame" not in (of_process / "environ").read_bytes()
    limits = (of_process / "limits").read_text()
    assert "Max core file size        0" in limits
    assert "Max file size             0" in limits
    assert 40 < warm.memory_mb < 150


def test_a_picture_has_a_budget_of_processor_time(settings):
    # The largest flat picture takes over twenty times as long as the portrait: on any machine 0.2 s are between them.
    largest = base64_of(np.zeros((3900, 3900, 3), np.uint8), ".png")
    worker = PictureWorker(msgspec.structs.replace(settings, picture_seconds=0.2))
    code, text = refusal(worker, samples_of(portrait_jpeg(), largest))
    assert code == Code.IMAGE_TOO_COSTLY
    assert text.startswith("image 2 takes more than 0.2 s of processor time, which is the limit: make it smaller")
    assert worker.lost == 1
    assert worker.memory_mb is None
    assert len(outcome(worker, faces_of(portrait_jpeg()))[0]) == 1  # by another process
    worker.close()


def test_a_picture_has_a_budget_of_memory(settings):
    worker = PictureWorker(msgspec.structs.replace(settings, memory_bytes=30_000_000))
    code, text = refusal(worker, faces_of(base64_of(np.zeros((4000, 4000, 3), np.uint8), ".png")))
    assert code == Code.IMAGE_TOO_COSTLY
    assert text == "image is 4000x4000 px, for which there is not enough memory: make it smaller"
    assert len(outcome(worker, faces_of(portrait_jpeg()))[0]) == 1
    assert worker.lost == 0
    worker.close()


def test_a_request_has_a_deadline(settings):
    worker = PictureWorker(settings)
    outcome(worker, faces_of(portrait_jpeg()))
    worker._request_seconds = 0.2
    os.kill(worker._process.pid, signal.SIGSTOP)  # it uses no processor time, and answers nothing
    code, text = refusal(worker, samples_of(portrait_jpeg()))
    assert code == Code.IMAGE_TOO_COSTLY
    assert text.startswith("image 1 was not read by then: the pictures of one request may take 0.2 s.")
    assert worker.lost == 1
    worker.close()


def test_the_deadline_of_a_request_that_is_done_does_not_end_the_next_one(worker, slow):
    worker.start(faces_of(portrait_jpeg()))
    done = worker._job
    until(worker.poll)
    worker.start(samples_of(slow))
    worker._expire(done)  # its timer had gone off when it was cancelled
    assert isinstance(until(worker.poll), list)
    assert (worker.lost, done.overdue) == (0, False)


def test_both_processes_of_a_request_have_one_deadline(settings):
    deadlines = []

    def fail(_settings):
        timers = [one for one in threading.enumerate() if isinstance(one, threading.Timer)]
        deadlines.append([timer for timer in timers if timer.args == [worker._job]])
        raise BlockingIOError(11, "Resource temporarily unavailable")

    worker = PictureWorker(settings, start=fail)
    refusal(worker, faces_of(""))
    first, second = deadlines
    assert len(first) == 1
    assert first == second


def test_one_that_is_lost_while_nothing_is_read_costs_nothing(worker, caplog):
    outcome(worker, faces_of(portrait_jpeg()))
    os.kill(worker._process.pid, signal.SIGKILL)
    assert len(outcome(worker, faces_of(portrait_jpeg()))[0]) == 1
    assert worker.lost == 1
    assert "the process that reads pictures ended with status -9; health counts" in caplog.text


@pytest.mark.parametrize(
    ("number", "code", "says"),
    [
        (signal.SIGSEGV, Code.IMAGE_BROKEN, "image 1 ended the process that decodes pictures (status -11)"),
        (signal.SIGKILL, Code.IMAGE_TOO_COSTLY, "image 1 took the last of the device's memory"),
    ],
)
def test_a_crash_is_a_refusal(worker, slow, number, code, says):
    worker.start(samples_of(slow, slow, slow))
    until(lambda: worker._process is not None and worker._process.picture)
    os.kill(worker._process.pid, number)
    refused = until(worker.poll)
    assert refused.code == code
    assert says in str(refused)
    assert len(outcome(worker, faces_of(portrait_jpeg()))[0]) == 1
    assert worker.lost == 1


def test_one_that_cannot_be_started_is_a_refusal(settings, caplog):
    def fail(_settings):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    worker = PictureWorker(settings, start=fail)
    assert refusal(worker, faces_of(portrait_jpeg()))[0] == Code.WORKER_FAILED
    assert "the process that reads pictures cannot be started: [Errno 11]" in caplog.text
    broken = PictureWorker(msgspec.structs.replace(settings, detector="/nowhere.tflite"))
    assert refusal(broken, faces_of(portrait_jpeg()))[0] == Code.WORKER_FAILED
    assert broken.lost == 2  # it was tried twice


def test_it_ends_when_there_is_nothing_to_do(settings):
    worker = PictureWorker(settings, idle_seconds=0.0)
    outcome(worker, faces_of(portrait_jpeg()))
    pid = worker._process.pid
    assert worker.poll() is None
    assert worker.memory_mb is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert worker.lost == 0


def test_it_ends_with_the_device(settings):
    worker = PictureWorker(settings)
    outcome(worker, faces_of(portrait_jpeg()))
    pid = worker._process.pid
    os.kill(pid, signal.SIGSTOP)
    worker.start(samples_of(portrait_jpeg()))
    worker.close()
    assert worker.poll().code == Code.WORKER_FAILED
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_it_says_is_not_taken_on_trust(device):
    (sample,), ((face,),) = read_here(device, samples_of(portrait_jpeg())), read_here(device, faces_of(portrait_jpeg()))
    samples, faces = samples_of(""), faces_of("")
    left_out = LeftOut(1, "blurred", "y")
    assert found_of(FoundNone(left_out), samples, 128) is left_out
    assert found_of(FoundSample(sample), samples, 128) is sample
    assert found_of(FoundFaces([face]), faces, 128) == [face]
    crops, encoding = CropsTask([sample.crop.tobytes()]), FoundEncoding(sample.embedding)
    assert found_of(encoding, crops, 128) is sample.embedding
    for said, task in (
        (FoundFaces([face]), samples),
        (FoundSample(sample), faces),
        (encoding, samples),
        (encoding, faces),
        (FoundNone(left_out), crops),
        (FoundEncoding(2 * sample.embedding), crops),
        (FoundNone(LeftOut(1, "blurred", "y")), faces),
        (FoundNone(LeftOut(2, "blurred", "y")), samples),
        (FoundNone(LeftOut(1, "x", "y")), samples),
        (FoundNone(LeftOut(1, "blurred", "y" * 1001)), samples),
        (FoundSample(replace(sample, embedding=sample.embedding[:64])), samples),
        (FoundSample(replace(sample, embedding=sample.embedding * np.nan)), samples),
        (FoundSample(replace(sample, crop=sample.crop[:50])), samples),
        (FoundFaces([replace(face, embedding=face.embedding * 2)]), faces),
    ):
        with pytest.raises(ValueError, match=r"Found|crop|encoding|image 2 of 1|no code: x|reason of 1001"):
            found_of(said, task, 128)
    for value in (("object", (1,), b"12345678"), ("uint8", (2,), b"1"), ("uint8", (3, -1), b"12"), 5):
        with pytest.raises((ValueError, msgspec.ValidationError)):
            array_of(np.ndarray, value)
    for code, reason in (("blurred", "y"), ("x", "y"), ("blurred", "y" * 1001)):
        stream = io.BytesIO()
        write(stream, msgspec.structs.replace(Refused(Code.BLURRED, reason), code=code))
        stream.seek(0)
        if (code, reason) == ("blurred", "y"):
            assert read(stream, SAYINGS, 5000) == Refused(Code.BLURRED, "y")
            continue
        with pytest.raises(ValueError, match=r"Invalid enum value 'x'|length <= 1000"):
            read(stream, SAYINGS, 5000)

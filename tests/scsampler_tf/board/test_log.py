import pytest

from scsampler_tf.board.guard import Guard
from scsampler_tf.board.log import Log
from scsampler_tf.board.panel import SETTINGS, TRAIN, VALIDATION
from tests.scsampler_tf.board.events import runs_of

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
    "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)  # one red pixel


def red(_):
    return 1, 1, PNG


def test_runs_lie_below_the_folder_and_are_read_back(tmp_path):
    log = Log(tmp_path / "logs", Guard(), apart=False)
    assert log.is_new
    log.scalar(TRAIN, "loss", 0.5, 1)
    log.scalar(TRAIN, "loss", 0.25, 2)
    log.scalar(SETTINGS, "best", 3.0, 2)
    log.picture(VALIDATION, "a picture/x", 2, red, None)
    log.close()
    runs = runs_of(tmp_path)
    assert set(runs) == {"logs", "logs/train", "logs/validation"}
    assert runs["logs/train"].scalar("loss") == {1: 0.5, 2: 0.25}
    assert runs["logs"].scalar("best") == {2: 3.0}
    pictures = runs["logs/validation"].pictures("a picture/x")
    assert pictures[2].getpixel((0, 0)) == (255, 0, 0)


def test_a_training_that_goes_on_writes_beside_what_is_there(tmp_path):
    for step in (1, 2):
        log = Log(tmp_path, Guard(), apart=False)
        assert log.is_new == (step == 1)
        log.scalar(TRAIN, "loss", step / 2, step)
        log.close()
    assert runs_of(tmp_path)["train"].scalar("loss") == {1: 0.5, 2: 1.0}


def test_nothing_is_made_where_nothing_is_written(tmp_path):
    Log(tmp_path / "logs", Guard()).close()
    assert not (tmp_path / "logs").exists()


def test_what_cannot_be_written_raises(tmp_path):
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(Exception, match="logs"):
        Log(tmp_path / "logs", Guard()).scalar(TRAIN, "loss", 0.5, 1)

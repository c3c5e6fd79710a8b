"""The boards with features of small videos, asked as a training asks them."""

import dataclasses
import shutil

import keras
import numpy as np
import pytest

from pipelines.datasets import feature_clips
from pipelines.index import FeatureIndex
from scsampler_tf.board.boards import classifier_board, sampler_board
from scsampler_tf.board.inputs import clip_inputs
from scsampler_tf.config import RECORD_FIELDS
from scsampler_tf.validation import MOST_K
from tests.scsampler_tf.board.events import runs_of
from tests.training_set import TrainingSet, make_training_set

SETTINGS = {"kind": "md", "seed": 0}
SAMPLER = {"loss": 0.5, "val_chosen_score": 0.5, "val_oracle_score": 0.75}
TIMELINES = {"timeline/1 left left_2.mp4", "timeline/2 right right_2.mp4"}
INPUTS = {"inputs/1 left left_2.mp4", "inputs/2 right right_2.mp4"}
CURVE = "accuracy against K/val videos"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> TrainingSet:
    return make_training_set(tmp_path_factory.mktemp("board"))


@dataclasses.dataclass
class Measured:
    """A validation that was done, of a sampler whose saliency grows with time."""

    index: FeatureIndex
    table: dict
    K: int = 3
    latest: np.ndarray | None = None

    def __post_init__(self):
        self.videos = self.index.of_split("val")
        self.latest = np.zeros((len(self.videos), 2 + MOST_K))
        self.right_at_K = np.ones((len(self.videos), MOST_K), bool)

    def saliency(self, video):
        return np.linspace(0, 1, video.clips, dtype=np.float32)


def train(board, epochs, values, first=0):
    """What a training's loop does."""
    board.set_model(keras.Sequential())
    board.on_train_begin()
    for epoch in range(first, epochs):
        board.on_epoch_begin(epoch)
        board.on_epoch_end(epoch, dict(values))
    board.on_train_end(values)


def sampler(folder, data, epochs=2, **options):
    measured = Measured(data.index, data.table.values)
    kinds = options.pop("kinds", ("md",))
    return sampler_board(folder, SETTINGS, data.index, measured, epochs, kinds=kinds, **options)


def test_a_samplers_board_has_everything(data, tmp_path):
    train(sampler(tmp_path, data), 2, SAMPLER)
    runs = runs_of(tmp_path / "logs")
    assert set(runs) == {".", "train", "validation", "oracle"}
    validation = runs["validation"]
    charts = {"quality/true_class_score", "quality/videos_right_with_K_clips"}
    assert validation.tags == TIMELINES | INPUTS | charts | {CURVE}
    for tag in TIMELINES:
        assert {step: each.size for step, each in validation.pictures(tag).items()} == {
            1: (880, 368),
            2: (880, 368),
        }
    assert {step: each.size for step, each in validation.pictures(CURVE).items()} == {
        1: (512, 320),
        2: (512, 320),
    }
    for tag in INPUTS:  # six clips, I-frames and motion
        assert {step: each.size for step, each in validation.pictures(tag).items()} == {0: (796, 300)}
    assert runs["."].hparams("session_start_info").session_start_info.hparams["kind"].string_value == "md"
    assert runs["."].scalar("best/true_class_score") == {1: 0.5}
    assert validation.scalar("quality/true_class_score") == {1: 0.5, 2: 0.5}
    assert runs["oracle"].scalar("quality/true_class_score") == {1: 0.75, 2: 0.75}


def test_thumbnails_are_of_the_chosen_clips(data, tmp_path):
    """Textures pan past: the pictures are colourful, where the grey ones of a lost video are not."""
    train(sampler(tmp_path, data, 1, apart=False), 1, SAMPLER)
    picture = next(iter(runs_of(tmp_path / "logs")["validation"].pictures(min(TIMELINES)).values()))
    row = np.asarray(picture.crop((250, 70, 630, 140)))
    assert row.std() > 20


def test_a_training_that_goes_on_shows_its_inputs_once(data, tmp_path):
    train(sampler(tmp_path, data, 3, apart=False), 1, SAMPLER)
    train(sampler(tmp_path, data, 3, apart=False), 3, SAMPLER, first=1)
    validation = runs_of(tmp_path / "logs")["validation"]
    assert list(validation.pictures(min(INPUTS))) == [0]
    assert sorted(validation.pictures(min(TIMELINES))) == [1, 2, 3]  # of two files
    assert validation.scalar("quality/true_class_score") == dict.fromkeys((1, 2, 3), 0.5)


def test_without_pictures_or_validation_there_are_charts_and_settings(data, tmp_path):
    train(sampler(tmp_path / "a", data, pictures=False), 1, SAMPLER)
    assert runs_of(tmp_path / "a/logs")["validation"].tags == {"quality/true_class_score"}
    board = sampler_board(tmp_path / "b", SETTINGS, data.index, None, 1, kinds=("audio",))
    train(board, 1, {"loss": 0.5})
    assert set(runs_of(tmp_path / "b/logs")) == {".", "train"}


def test_no_failure_ends_a_training(data, tmp_path, capsys):
    """Features that are gone, and a saliency that fails: everything else is there all the same."""
    index = dataclasses.replace(data.index, folder=tmp_path / "gone")
    measured = Measured(index, data.table.values)
    measured.saliency = lambda video: 1 // 0
    board = sampler_board(tmp_path, SETTINGS, index, measured, 2, kinds=("md",), apart=False)
    train(board, 2, SAMPLER)
    assert runs_of(tmp_path / "logs")["validation"].tags == {
        CURVE,
        "quality/true_class_score",
        "quality/videos_right_with_K_clips",
    }
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 4  # inputs and timeline of two videos, once
    assert all(line.startswith("TensorBoard: no ") for line in lines)


def test_a_folder_that_cannot_be_written_to_ends_no_training(data, tmp_path, capsys):
    (tmp_path / "logs").write_text("a file where a folder should be")
    train(sampler(tmp_path, data, apart=False), 2, SAMPLER)
    assert "the training goes on" in capsys.readouterr().err


def test_logs_that_vanish_end_no_training(data, tmp_path):
    board = sampler(tmp_path, data, apart=False)
    board.set_model(keras.Sequential())
    board.on_train_begin()
    shutil.rmtree(tmp_path / "logs")
    for epoch in range(2):
        board.on_epoch_end(epoch, dict(SAMPLER))
    board.on_train_end()


def test_a_classifiers_board_has_its_confusions(data, tmp_path):
    class Clips:
        videos = data.index.of_split("val")
        latest = np.zeros((2, 6))
        probabilities = np.array([[0.75, 0.25], [0.5, 0.5]])
        labels_of_videos = np.array([0, 1])

    values = {"loss": 0.5, "accuracy": 0.5, "val_log_likelihood": -0.75, "val_accuracy": 0.25}
    board = classifier_board(tmp_path, {"kind": "classifier"}, data.index, Clips(), 2, apart=False)
    train(board, 2, values)
    runs = runs_of(tmp_path / "logs")
    assert runs["validation"].tags == {"loss", "quality/top_1", "confusion/val videos"}
    assert list(runs["validation"].pictures("confusion/val videos")) == [1, 2]
    assert runs["."].scalar("best/loss") == {1: 0.75}
    assert runs["."].scalar("best/top_1") == {1: 0.25}


def test_a_joint_training_shows_what_all_its_networks_get(data, tmp_path):
    train(sampler(tmp_path, data, 1, apart=False, kinds=("md", "rgb_r", "audio")), 1, SAMPLER)
    pictures = runs_of(tmp_path / "logs")["validation"].pictures("inputs/2 right right_2.mp4")
    assert pictures[0].size == (796, 540)  # I-frames, motion, residuals, sound


def test_inputs_are_what_the_samplers_are_given(data):
    """Six clips of a video of six, of each the middle frame of those that `feature_clips` gives."""
    video = data.index.of_split("val")[0]
    clips = clip_inputs(data.index, video, ("md", "rgb_r", "audio"))
    assert [clip.in_action for clip in clips] == [False, False, True, True, False, False]
    assert [clip.start_s for clip in clips] == pytest.approx([0.64 * place for place in range(6)])
    for kind in ("md", "rgb_r", "audio", "iframe"):
        field = RECORD_FIELDS[kind]
        frames, mask = next(iter(feature_clips(data.index, video, field, 6)))
        for place, clip in enumerate(clips):
            there = np.flatnonzero(mask[place])
            if not len(there):
                assert clip.frames[field] is None
                continue
            assert (clip.frames[field] == frames[place, there[len(there) // 2]].numpy()).all()
    assert [clip.start_s for clip in clip_inputs(data.index, video, ("md",), 3)] == pytest.approx(
        [0, 1.28, 3.2]
    )

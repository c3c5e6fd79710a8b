from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import UserError
from pipelines.index import FeatureIndex
from pipelines.settings import FeatureSettings
from scsampler_tf.evaluation_set import annotated, clips_in_action, evaluation_set
from scsampler_tf.tables import ScoreTable
from tests.scsampler_tf.records import record

NAN = np.nan
SETTINGS = FeatureSettings(clip_frames=10)


def index_of(*videos) -> FeatureIndex:
    return FeatureIndex(Path("features"), SETTINGS, ["a", "b"], list(videos), [], "")


def tables(**values) -> dict[str, ScoreTable]:
    rows = {"classifier": {"x": np.eye(2)[[0, 1, 1]], "y": np.eye(2)[[0]]}, **values}
    return {
        name: ScoreTable(name, {k: np.float32(v) for k, v in row.items()}, {}) for name, row in rows.items()
    }


VIDEOS = (
    record("x", "b", frames=30),
    record("train", "a", split="train"),
    record("y", "a", frames=10),
    record("gone", "a"),
)


def test_scores_of_a_split_are_padded_and_joined():
    scores = tables(
        md={"x": [0.2, NAN, 0.4], "y": [0.5], "gone": [0] * 4},
        rgb_r={"x": [0.4, 0.6, 0.8], "y": [0.7], "gone": [0] * 4},
        audio={"x": [NAN, 0.1, 0.9], "y": [NAN], "gone": [0] * 4},
    )
    data = evaluation_set(index_of(*VIDEOS), scores, "test")
    assert [video.video_id for video in data.videos] == ["x", "y"]
    assert data.missing == ["/videos/gone.mp4"]
    np.testing.assert_array_equal(data.labels, [1, 0])
    np.testing.assert_array_equal(data.mask, [[1, 1, 1], [1, 0, 0]])
    np.testing.assert_array_equal(data.probabilities[0], np.eye(2)[[0, 1, 1]])
    np.testing.assert_allclose(data.visual, [[0.3, 0.3, 0.6], [0.6, 0, 0]], rtol=1e-6)
    np.testing.assert_array_equal(data.has_audio, [[0, 1, 1], [0, 0, 0]])
    np.testing.assert_allclose(data.audio, [[0, 0.1, 0.9], [0, 0, 0]], rtol=1e-6)
    assert data.in_action is None


def test_missing_samplers_are_none_and_no_video_is_an_error():
    data = evaluation_set(index_of(*VIDEOS), tables(audio={"x": [0] * 3, "y": [NAN]}), "test")
    assert data.visual is None
    data = evaluation_set(index_of(*VIDEOS), tables(), "test")
    assert data.audio is None
    assert not data.has_audio.any()
    with pytest.raises(UserError, match="no scored video in split 'val'"):
        evaluation_set(index_of(*VIDEOS), tables(), "val")
    with pytest.raises(UserError, match="score table 'md': no scores for y"):
        evaluation_set(index_of(*VIDEOS), tables(md={"x": [0] * 3}), "test")


def test_a_clip_is_in_action_by_half_of_its_time():
    video = record("x", frames=40, segments=[[0.5, 1.2], [1.4, 1.75], [2.51, 4.0]])
    # 0.5 of the first second, 0.2 + 0.35 of the second, 0.49 of the third, all of the fourth.
    np.testing.assert_array_equal(clips_in_action(video, 10), [True, True, False, True])


def test_annotation_counts_only_where_all_videos_have_it():
    segments = [[0.0, 1.0]]
    both = index_of(record("x", frames=30, segments=segments), record("y", frames=10, segments=segments))
    np.testing.assert_array_equal(
        evaluation_set(both, tables(), "test").in_action, [[True, False, False], [True, False, False]]
    )
    one = index_of(record("x", frames=30, segments=segments), record("y", frames=10))
    assert evaluation_set(one, tables(), "test").in_action is None


def test_the_annotated_videos_alone():
    """The second of two videos, which is shorter and has sound."""
    index = index_of(record("x", "b", frames=30), record("y", frames=10, segments=[[0.2, 0.8]]))
    data = evaluation_set(index, tables(audio={"x": [NAN] * 3, "y": [0.4]}), "test")
    found = annotated(data, index.settings.span)
    assert [video.video_id for video in found.videos] == ["y"]
    np.testing.assert_array_equal(found.in_action, [[True, False, False]])
    np.testing.assert_array_equal(found.mask, [[True, False, False]])
    np.testing.assert_array_equal(found.has_audio, [[True, False, False]])
    np.testing.assert_array_equal(found.labels, [0])
    np.testing.assert_allclose(found.audio, [[0.4, 0, 0]])
    assert found.visual is None
    assert annotated(evaluation_set(index_of(VIDEOS[0]), tables(), "test"), 10) is None


def with_activations(values: dict, **networks) -> dict[str, ScoreTable]:
    """Score tables of samplers, made by the networks that are named, and of activations."""
    found = tables(**{kind: {"x": [0] * 3, "y": [0]} for kind in networks if kind != "activations"})
    found["activations"] = ScoreTable("activations", {k: np.float16(v) for k, v in values.items()}, {})
    return {
        kind: ScoreTable(kind, table.values, {"network": networks.get(kind)}) for kind, table in found.items()
    }


def test_activations_are_those_of_motion_or_else_of_residuals():
    values = {"x": [[1, 2], [3, 4], [5, 6]], "y": [[7, 8]]}
    for networks in ({"md": "a", "rgb_r": "b"}, {"rgb_r": "a"}):
        data = evaluation_set(
            index_of(*VIDEOS), with_activations(values, activations="a", **networks), "test"
        )
        assert data.features.dtype == np.float16
        np.testing.assert_array_equal(data.features, [values["x"], [[7, 8], [0, 0], [0, 0]]])
    # Of another network than the one that has given the scores, or without any.
    for networks in ({"md": "b", "rgb_r": "a"}, {"audio": "a"}):
        scores = with_activations(values, activations="a", **networks)
        assert evaluation_set(index_of(*VIDEOS), scores, "test").features is None
    scores = with_activations({"x": values["x"]}, activations="a", md="a")
    with pytest.raises(UserError, match="score table 'activations': no scores for y"):
        evaluation_set(index_of(*VIDEOS), scores, "test")


def test_annotated_videos_keep_their_activations():
    videos = (record("x", "b", frames=30), record("y", "a", frames=10, segments=[(0, 1)]))
    scores = with_activations({"x": [[1]] * 3, "y": [[2]]}, activations="a", md="a")
    found = annotated(evaluation_set(index_of(*videos), scores, "test"), 10)
    np.testing.assert_array_equal(found.features, [[[2], [0], [0]]])

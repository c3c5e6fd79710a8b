import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.errors import UserError, VideoError
from pipelines.index import load_index
from pipelines.manifest import read_manifest
from scsampler_tf import predict as predict_module
from scsampler_tf import predict_batch as predict_batch_module
from scsampler_tf.adaptive import running_margins
from scsampler_tf.answers import saliency_choice
from scsampler_tf.composite import Composite
from scsampler_tf.evaluation_set import evaluation_set, load_tables
from scsampler_tf.export import compare, scan_graph
from scsampler_tf.export import describe as describe_model
from scsampler_tf.model_folder import load_model
from scsampler_tf.predict import describe, local_model, main, picture_names, predict
from scsampler_tf.score import score_kind
from scsampler_tf.selection import gather_clips
from scsampler_tf.tables import load_table
from scsampler_tf.workdir import open_workdir
from tests import media
from tests.tiny_set import CLIPS


@pytest.fixture(scope="module")
def videos(tiny_run):
    return tiny_run.manifest.parent


@pytest.fixture
def command(tiny_model, monkeypatch, tmp_path):
    """The command with the model loaded already; returns its exit code."""
    monkeypatch.setattr(predict_module, "local_model", lambda folder: tiny_model)
    return lambda *words: main([*map(str, words), "--model", "ready", "--out", str(tmp_path / "out")])


def test_the_answer_fits_the_file_and_the_score_tables(tiny_run, tiny_model, videos):
    found = predict(videos / "right_3.mp4", tiny_model)
    assert len(found.bounds_s) == CLIPS
    assert found.bounds_s[0][0] == 0
    assert found.bounds_s[-1][1] == pytest.approx(90 / media.FPS)
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert found.label == max(found.probabilities, key=found.probabilities.get)
    index = load_index(tiny_run.folder / "features")
    video = next(each for each in index.videos if each.path.endswith("right_3.mp4"))
    tables = {
        kind: load_table(tiny_run.folder / "scores" / f"{kind}.npz") for kind in ("md", "rgb_r", "audio")
    }
    visual = (tables["md"].values[video.video_id] + tables["rgb_r"].values[video.video_id]) / 2
    np.testing.assert_allclose(found.visual, visual, atol=1e-5)
    np.testing.assert_allclose(found.audio, tables["audio"].values[video.video_id], atol=1e-5)


def test_the_moments_are_the_k_most_salient_clips_and_only_they_are_decoded(tiny_model, videos, monkeypatch):
    asked = []
    decode = predict_module.decode_clips

    def spy(path, wanted, *rest):
        asked.extend(int(frames[0]) for frames in wanted)
        return decode(path, wanted, *rest)

    monkeypatch.setattr(predict_module, "decode_clips", spy)
    found = predict(videos / "left_3.mp4", tiny_model)
    best = np.argsort(-found.fused, kind="stable")[:3]
    assert [moment.clip for moment in found.moments] == best.tolist()
    assert sorted(asked) == sorted(16 * best)
    for moment, thumbnail in zip(found.moments, found.thumbnails, strict=True):
        assert (moment.start_s, moment.end_s) == found.bounds_s[moment.clip]
        assert 0 <= moment.start_s < moment.end_s <= 90 / media.FPS + 1e-6
        assert moment.saliency == pytest.approx(found.fused[moment.clip])
        assert thumbnail.shape == (32, 32, 3)


def test_groups_of_clips_change_nothing(tiny_model, videos, monkeypatch):
    whole = predict(videos / "left_1.mp4", tiny_model)
    monkeypatch.setattr(predict_module, "CLIPS_AT_ONCE", 4)
    parts = predict(videos / "left_1.mp4", tiny_model)
    assert [moment.clip for moment in parts.moments] == [moment.clip for moment in whole.moments]
    np.testing.assert_allclose(parts.visual, whole.visual, atol=1e-6)
    assert parts.bounds_s == whole.bounds_s


def test_json_of_a_video_without_sound(command, videos, capsys):
    assert command(videos / "test_silent.mp4", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert set(answer) == {
        *("video", "label", "probability", "probabilities", "moments", "clips", "duration_s", "has_audio"),
        *("motion", "damage", "remarks", "timeline"),
    }
    assert answer["has_audio"] is False
    assert answer["clips"] == CLIPS
    assert answer["duration_s"] == pytest.approx(3.6)
    assert set(answer["probabilities"]) == {"left", "right"}
    assert answer["probability"] == answer["probabilities"][answer["label"]]
    starts = [moment["start_s"] for moment in answer["moments"]]
    assert len(starts) == 3
    assert starts == sorted(starts)
    assert set(answer["moments"][0]) == {"clip", "start_s", "end_s", "saliency", "label", "probability"}
    with Image.open(answer["timeline"]) as picture:
        assert np.asarray(picture.convert("L")).std() > 5


def test_motion_that_the_sampler_has_not_met_is_remarked(tiny_model, videos, tmp_path):
    known = predict(videos / "left_1.mp4", tiny_model)
    assert (known.policy, known.remarks) == ("direct", [])
    path = media.write_video(tmp_path / "b.mp4", media.pan(40, 96, 80), b_frames=2)
    found = predict(path, tiny_model)
    assert found.policy == "transcode"
    assert "'transcode', which the sampler has not met in training (direct)" in found.remarks[0]
    assert f"remark: {found.remarks[0]}" in describe(found)


def test_a_model_that_does_not_tell_what_it_has_met_is_no_mistake(tiny_model, videos):
    def older(signature, inputs):
        outputs = tiny_model(signature, inputs)
        if signature == "describe":
            about = json.loads(np.asarray(outputs["about"]).reshape(-1)[0])
            del about["motion"]
            outputs = {"about": np.array([json.dumps(about).encode()], object)}
        return outputs

    assert predict(videos / "left_1.mp4", older).remarks == []


def test_a_bad_file_among_good_ones_is_one_sentence(command, videos, tmp_path, capsys):
    bad = media.text_file(tmp_path / "words.mp4")
    assert command(bad, videos / "left_0.mp4", tmp_path / "none.mp4") == 2
    captured = capsys.readouterr()
    errors = captured.err.strip().splitlines()
    assert [error.startswith("error: ") for error in errors] == [True, True]
    assert str(bad) in errors[0]
    assert str(tmp_path / "none.mp4") in errors[1]
    assert "left_0.mp4: " in captured.out
    assert "3 of 6 clips classified, chosen by picture only, no sound" in captured.out
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["left_0.png"]


def test_a_video_shorter_than_one_clip(tiny_model, tmp_path):
    short = media.write_video(tmp_path / "short.mp4", media.pan(10, 96, 80))
    with pytest.raises(VideoError, match="shorter than one clip"):
        predict(short, tiny_model)


def test_fewer_clips_than_k(tiny_model, tmp_path):
    short = media.write_video(tmp_path / "two.mp4", media.pan(34, 96, 80))
    found = predict(short, tiny_model)
    assert sorted(moment.clip for moment in found.moments) == [0, 1]
    assert sum(found.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_text_for_people(tiny_model, videos):
    text = describe(predict(videos / "right_0.mp4", tiny_model))
    lines = text.splitlines()
    assert lines[0].startswith(f"{videos / 'right_0.mp4'}: ")
    assert "3 of 6 clips classified, chosen by picture and sound" in lines[2]
    starts = [float(line.split()[0]) for line in lines[3:]]
    assert starts == sorted(starts)


def test_as_many_clips_as_asked_for(tiny_model, videos):
    usual = predict(videos / "left_3.mp4", tiny_model)
    best = np.argsort(-usual.fused, kind="stable").tolist()
    for k, count in ((1, 1), (2, 2), (5, 5), (2**40, CLIPS)):
        found = predict(videos / "left_3.mp4", tiny_model, k)
        assert [moment.clip for moment in found.moments] == best[:count]
        np.testing.assert_array_equal(found.fused, usual.fused)
        mean = np.mean([moment.probability for moment in found.moments if moment.label == found.label])
        assert (count > 1) or found.probabilities[found.label] == pytest.approx(mean)


def test_a_model_of_before_is_to_be_exported_again_for_another_k(videos, tmp_path):
    class Older(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "query")])
        def describe(self, query):
            return {"about": tf.constant(["{}"])}

    model = Older()
    names = ("score", "select", "classify", "describe")
    tf.saved_model.save(model, str(tmp_path), signatures=dict.fromkeys(names, model.describe))
    with pytest.raises(UserError, match="no signature 'select_k'; export the model again"):
        local_model(tmp_path)("select_k", {})


def test_more_unlike_clips_than_the_model_was_exported_for(beyond, videos):
    def asked(signature, inputs):
        outputs = beyond(signature, inputs)
        if signature == "select_k":
            chosen.append(outputs["indices"][0].tolist())
        return outputs

    chosen = []
    assert len(predict(videos / "left_3.mp4", asked, 1).moments) == 1
    predict(videos / "left_3.mp4", asked, 2**40)
    assert chosen[1][:1] == chosen[0]
    assert sorted(chosen[1]) == list(range(CLIPS))  # more than the 4 of the export


def test_a_manifest_is_answered_as_its_videos_are(tiny_run, tiny_model, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(predict_batch_module, "local_model", lambda folder: tiny_model)
    out = tmp_path / "results.jsonl"
    words = ["--manifest", str(tiny_run.manifest), "--out", str(out), "--model", "ready", "--workers", "0"]
    assert main(words) == 0
    rows, _ = read_manifest(tiny_run.manifest)
    found = {line["path"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert {name: line["true_label"] for name, line in found.items()} == {row.name: row.label for row in rows}
    right = 0
    for row in rows:
        answer = predict(row.path, tiny_model)
        assert found[row.name]["probabilities"] == answer.probabilities
        right += answer.label == row.label
    assert f"({right} of 9 answered videos with a label)" in capsys.readouterr().out


def test_folders_that_hold_no_model(tmp_path, capsys):
    assert main(["video.mp4", "--model", str(tmp_path / "none"), "--out", str(tmp_path / "out")]) == 2
    assert "no exported model here" in capsys.readouterr().err
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "saved_model.pb").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be loaded"):
        local_model(tmp_path)


def test_each_video_has_a_picture_of_its_own():
    names = picture_names(["a/x.mp4", "b/x.mp4", "x-2.mp4", "x.avi", "y.mp4"])
    assert names == ["x.png", "x-2.png", "x-2-2.png", "x-3.png", "y.png"]


def clear_margin(data, selection) -> float:
    """A margin that none of the running means is near, so that a grey level of difference changes nothing."""
    indices = saliency_choice(data, selection, selection.fusion)
    margins = running_margins(gather_clips(data.probabilities, indices), indices >= 0)
    known = np.unique(np.asarray(margins)[indices >= 0])
    gaps = np.diff(known)
    return float(known[gaps.argmax()] + gaps.max() / 2)


@pytest.fixture(scope="module")
def scored(tiny_run, tmp_path_factory):
    """Test videos as MD and sound see them, with activations; the configuration with all options."""
    workdir, config = open_workdir(tiny_run.folder)
    folder = tmp_path_factory.mktemp("activations")
    tables = {kind: table for kind, table in load_tables(workdir).items() if kind != "rgb_r"}
    elsewhere = workdir.with_network("activations", folder, folder / "activations.npz")
    tables["activations"] = score_kind("activations", elsewhere, config, workers=0, quiet=True)
    data = evaluation_set(workdir.index(config), tables, "test")
    selection = dataclasses.replace(config.selection, diversity=0.5, temperature=0.1, K=4)
    selection = dataclasses.replace(selection, stop_margin=clear_margin(data, selection))
    return data, dataclasses.replace(config, selection=selection)


@pytest.fixture(scope="module")
def beyond(tiny_run, scored, tmp_path_factory):
    """The run's networks with everything that goes beyond the paper, as a SavedModel that is checked."""
    workdir, config = open_workdir(tiny_run.folder)[0], scored[1]
    models = {kind: load_model(workdir.model(kind)) for kind in ("md", "audio")}
    classifier = load_model(workdir.model("classifier"))
    networks = {kind: (model.network, model.about["objective"]) for kind, model in models.items()}
    about = describe_model(config, classifier, models)
    settings, labels = config.features, classifier.labels
    graph = Composite(classifier.network, networks, settings, config.selection, labels, about)
    folder = tmp_path_factory.mktemp("beyond") / "1"
    tf.saved_model.save(graph, str(folder), signatures=graph.signatures())
    scan_graph(folder)
    compare(folder, workdir, config, networks, classifier.network)
    return local_model(folder)


def test_a_model_with_all_options_answers_a_file_as_its_score_tables_do(beyond, scored):
    data, config = scored
    chosen = saliency_choice(data, config.selection, config.selection.fusion)
    assert (chosen >= 0).sum() < 4 * len(chosen)
    for row, (video, expected) in enumerate(zip(data.videos, chosen, strict=True)):
        found = predict(video.path, beyond)
        classified = [clip for clip in expected.tolist() if clip >= 0]
        assert [moment.clip for moment in found.moments] == classified
        assert len(found.thumbnails) == len(classified)
        weights = np.exp([10 * (moment.saliency - found.fused.max()) for moment in found.moments])
        mean = np.average(data.probabilities[row, classified], axis=0, weights=weights)
        np.testing.assert_allclose(list(found.probabilities.values()), mean, atol=2e-2)
        assert f"{len(classified)} of 6 clips classified" in describe(found)

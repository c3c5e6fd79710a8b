"""The joint training of samplers: what its model computes, what learns, what it writes and refuses."""

import dataclasses
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipelines.errors import UserError
from pipelines.index import FeatureIndex
from pipelines.prepare import prepare
from scsampler_tf import fusion
from scsampler_tf.answers import chosen_clips, saliency_choice
from scsampler_tf.callbacks import StopOnNaN
from scsampler_tf.config import RECORD_FIELDS, SamplerConfig, tiny
from scsampler_tf.evaluation_set import evaluation_set
from scsampler_tf.losses import SamplerLoss
from scsampler_tf.model_folder import finish_run, is_finished, load_model
from scsampler_tf.models.joint import joint_model
from scsampler_tf.models.layout import CLASS_LAYER
from scsampler_tf.models.sampler import (
    clip_logits,
    frame_network,
    frame_shape,
    frames_per_clip,
    train_only_head,
)
from scsampler_tf.runtime import make_strategy
from scsampler_tf.saliency import clip_saliency
from scsampler_tf.score import score
from scsampler_tf.tables import ScoreTable
from scsampler_tf.train_joint import joint_config, train_joint
from tests.tiny_set import make_tiny_set

SETTINGS = tiny().features
OBJECTIVES = {"md": "ac", "rgb_r": "ac", "audio": "sal_rank"}
ARCHS = {"md": "resnet_small", "rgb_r": "resnet_small", "audio": "vgg_audio_small"}
SHALLOW = {"widths": (8, 16), "repeats": (1, 1)}  # fewer layers than the presets': what is compiled is less
K, N = 3, 4
CONFIG = dataclasses.replace(joint_config(tiny()), epochs=1, batch=2, clips_per_video=N, learning_rate=1e-3)


def network(kind: str) -> keras.Model:
    """A network whose scores differ from clip to clip, with statistics that it could have learned."""
    model = frame_network(kind, ARCHS[kind], OBJECTIVES[kind], SETTINGS, 2, seed=7, **SHALLOW)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.moving_mean.assign(rng.normal(0, 0.1, layer.moving_mean.shape))
            layer.moving_variance.assign(rng.uniform(0.5, 2, layer.moving_variance.shape))
    head = model.get_layer(CLASS_LAYER).kernel
    head.assign(20 * head.numpy())
    return model


@dataclasses.dataclass(frozen=True)
class Run:
    """Features, a classifier's scores and three samplers in folders, none of which has learned anything."""

    index: FeatureIndex
    table: ScoreTable
    sources: dict[str, Path]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Run:
    folder = tmp_path_factory.mktemp("joint")
    manifest = make_tiny_set(folder / "data")
    index = prepare(manifest, folder / "features", SETTINGS, workers=0, quiet=True)
    rng = np.random.default_rng(0)
    values = {video.video_id: rng.dirichlet([1, 1], video.clips).astype("f") for video in index.videos}
    sources = {kind: folder / "models" / kind for kind in OBJECTIVES}
    for kind, path in sources.items():
        path.mkdir(parents=True)
        network(kind).save(path / "best.keras")
        about = {
            "objective": OBJECTIVES[kind],
            "motion": {} if kind == "audio" else {"direct": 1},
            "best": 9.0,
        }
        finish_run(path, kind, index.labels, SETTINGS, about)
    return Run(index, ScoreTable("classifier", values, {"network": "f"}), sources)


def train(run: Run, folder: Path, config=CONFIG, strategy="one_device", **changes) -> dict[str, Path]:
    """The joint training of what `changes` puts in place of the run's index, table or sources."""
    run = dataclasses.replace(run, **changes)
    devices = make_strategy(strategy)
    return train_joint(
        run.index, config, run.table, folder, run.sources, K=K, strategy=devices, seed=0, quiet=True
    )


@pytest.fixture(scope="module")
def networks():
    return {kind: (network(kind), OBJECTIVES[kind]) for kind in OBJECTIVES}


def example(seed=0):
    """Three videos: heard; without sound; with a silent clip, one nowhere to be found, one without MD."""
    rng = np.random.default_rng(seed)
    frames, masks = {}, {}
    for kind in OBJECTIVES:
        count = frames_per_clip(kind, SETTINGS)
        shape = (3, N, count, *frame_shape(kind, SETTINGS))
        frames[kind] = rng.normal(0, 3, shape).astype("f")
        masks[kind] = np.ones((3, N, count), "f")
    masks["md"][0, 0, 1:] = 0
    masks["audio"][1] = 0
    masks["audio"][2, 1] = 0
    masks["md"][2, 3] = 0
    for mask in masks.values():
        mask[2, 2] = 0
    return frames, masks


def inputs_of(frames, masks):
    named = {f"{RECORD_FIELDS[kind]}_frames": values for kind, values in frames.items()}
    return named | {f"{RECORD_FIELDS[kind]}_mask": values for kind, values in masks.items()}


@pytest.mark.parametrize("training", [False, True])
def test_the_model_gives_the_joint_score_of_the_networks_own(networks, training):
    frames, masks = example()
    scores = {
        kind: np.asarray(clip_saliency(clip_logits(each, frames[kind]), masks[kind], objective))
        for kind, (each, objective) in networks.items()
    }
    visual = (scores["md"] + scores["rgb_r"]) / 2
    heard = masks["audio"].any(axis=2)
    there = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 1]], bool)
    found = np.asarray(joint_model(networks, N, SETTINGS)(inputs_of(frames, masks), training=training))
    expected = np.asarray(fusion.joint(visual, scores["audio"], there, heard))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    np.testing.assert_allclose(found[0], (visual[0] + scores["audio"][0]) / 2, atol=1e-6)
    np.testing.assert_allclose(found[1], visual[1], atol=1e-6)
    least = scores["audio"][2][[0, 3]].min()
    np.testing.assert_allclose(found[2, 1], (visual[2, 1] + least) / 2, atol=1e-6)
    assert found[2, 2] == 0
    assert scores["md"][2, 3] == 0
    assert np.ptp(found[0]) > 0.01


def gradients(networks, objective, frames, masks):
    target = np.random.default_rng(3).uniform(0, 1, (3, N, 3)).astype("f")
    target[..., 2] = np.any([mask.any(axis=2) for mask in masks.values()], axis=0)
    model = joint_model(networks, N, SETTINGS)
    with tf.GradientTape() as tape:
        scores = model(inputs_of(frames, masks), training=True)
        loss = SamplerLoss(SamplerConfig(objective=objective, margin=0.1))(target, scores)
    variables = {kind: each.trainable_variables for kind, (each, _) in networks.items()}
    assert sum(map(len, variables.values())) == len(model.trainable_variables)
    found = tape.gradient(loss, {kind: [each.value for each in own] for kind, own in variables.items()})
    return {kind: [each.numpy() for each in own] for kind, own in found.items()}


@pytest.mark.parametrize("objective", ["sal_rank", "sal_cl"])
def test_every_layer_of_every_network_learns(networks, objective):
    train_only_head(networks["md"][0])  # as its own training may have left it
    found = gradients(networks, objective, *example())
    assert len(found["md"]) == len(found["rgb_r"]) > 2
    for own in found.values():
        assert all(np.isfinite(each).all() for each in own)
        assert all(each.any() for each in own)


def test_networks_learn_nothing_from_what_they_cannot_see(networks):
    frames, masks = example()
    masks["audio"][:] = 0
    found = gradients(networks, "sal_rank", frames, masks)
    assert not any(each.any() for each in found["audio"])
    assert any(each.any() for each in found["md"])
    masks = {**masks, "md": masks["md"] * 0, "rgb_r": masks["rgb_r"] * 0}
    assert not any(
        each.any() for own in gradients(networks, "sal_rank", frames, masks).values() for each in own
    )


def test_the_configuration_is_the_audio_samplers_at_a_slower_rate():
    audio = dataclasses.replace(tiny().audio, objective="ac", margin=0.3, weights="x.keras", dropout=0.5)
    config = joint_config(dataclasses.replace(tiny(), audio=audio))
    assert (config.objective, config.margin, config.epochs) == ("sal_rank", 0.3, audio.epochs)
    assert config.learning_rate == pytest.approx(audio.learning_rate / 10)
    assert (config.weights, config.dropout) == ("", 0.0)
    audio = dataclasses.replace(audio, objective="sal_cl", ktr_fraction=0.25)
    config = joint_config(dataclasses.replace(tiny(), audio=audio))
    assert (config.objective, config.ktr_fraction) == ("sal_cl", 0.25)


class Killed(BaseException):
    """Ends a training as a kill would."""


def kill_in_second_epoch(self, batch, logs=None):
    if int(self.model.optimizer.iterations.numpy()) > 2:  # two steps an epoch
        raise Killed


def weights_of(folder: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """What training moves, and what it leaves alone."""
    model = load_model(folder).network
    return (
        [each.numpy() for each in model.trainable_weights],
        [each.numpy() for each in model.non_trainable_weights],
    )


def chosen_score(run: Run, folders: dict[str, Path], folder: Path) -> float:
    """Mean score of the true class over the clips chosen on val, by score tables and `fusion.joint`."""
    tables = {kind: score(kind, run.index, path, folder / f"{kind}.npz", workers=0, quiet=True)
              for kind, path in folders.items()}  # fmt: skip
    data = evaluation_set(run.index, {"classifier": run.table, **tables}, "val")
    chosen = chosen_clips(data, saliency_choice(data, dataclasses.replace(tiny().selection, K=K), "joint"))
    true = data.probabilities[np.arange(len(data.labels)), :, data.labels]
    return float(np.mean([row[clips].mean() for row, clips in zip(true, chosen, strict=True)]))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the killed run's open files
def test_a_training_goes_on_after_a_kill_and_writes_ordinary_networks(run, tmp_path, monkeypatch):
    config, folder = dataclasses.replace(CONFIG, epochs=2), tmp_path / "joint"
    with monkeypatch.context() as patch:
        patch.setattr(StopOnNaN, "on_train_batch_end", kill_in_second_epoch)
        with pytest.raises(Killed):
            train(run, folder, config)
    assert not is_finished(folder)
    heard = [video.has_audio for video in run.index.of_split("train")]
    assert sorted(heard) == [False, True, True, True]  # a silent one takes part
    assert len((folder / "history.csv").read_text().splitlines()) == 2
    folders = train(run, folder, config)
    assert len((folder / "history.csv").read_text().splitlines()) == 3
    assert folders == {kind: folder / kind for kind in OBJECTIVES}
    for kind, path in folders.items():
        model = load_model(path)
        assert (model.kind, model.about["objective"]) == (kind, OBJECTIVES[kind])
        assert model.network.name == load_model(run.sources[kind]).network.name
        assert model.about["joint"]["with"] == list(OBJECTIVES)
        assert set(model.about["motion"]) == (set() if kind == "audio" else {"direct"})
        moved, kept = weights_of(path)
        before, statistics = weights_of(run.sources[kind])
        assert any(not np.array_equal(*pair) for pair in zip(moved, before, strict=True))
        assert all(np.array_equal(*pair) for pair in zip(kept, statistics, strict=True))
    best = json.loads((folder / "model.json").read_text())["best"]
    assert load_model(folders["md"]).about["best"] == best
    assert chosen_score(run, folders, tmp_path) == pytest.approx(best, abs=1e-6)

    shutil.rmtree(folder / "md")  # as after a kill between the last epoch and this network
    files = {path: path.stat().st_mtime_ns for path in (folder / "best.keras", folder / "history.csv")}
    assert train(run, folder, config) == folders
    assert weights_of(folders["md"])[0][0].any()
    assert {path: path.stat().st_mtime_ns for path in files} == files
    with pytest.raises(UserError, match="was begun with sources="):
        train(run, folder, config, sources={kind: run.sources[kind] for kind in ("md", "audio")})


def test_two_devices_train_one_visual_network_with_sound_alone(run, tmp_path):
    sources = {**run.sources, "rgb_r": tmp_path / "untrained"}
    folders = train(run, tmp_path / "joint", strategy="mirrored", sources=sources)
    assert list(folders) == ["md", "audio"]
    assert all(is_finished(path) for path in folders.values())


def without_sound(run: Run) -> dict:
    videos = [dataclasses.replace(video, has_audio=False) for video in run.index.videos]
    return {"index": dataclasses.replace(run.index, videos=videos)}


def only(*kinds):
    """The samplers of these kinds; the folders of the others are not there."""
    return lambda run: {
        "sources": {kind: path if kind in kinds else Path("none") for kind, path in run.sources.items()}
    }


def other(**changes):
    return lambda run: {"index": dataclasses.replace(run.index, **changes)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (only("md", "rgb_r"), "needs a trained sampler audio; make it with .* --kind audio"),
        (only("audio"), "needs a trained sampler md or rgb_r; make it with .* --kind md"),
        (lambda run: {"sources": {"audio": run.sources["audio"]}}, "needs a trained sampler md; make it"),
        (lambda run: {"table": None}, "run scsampler_tf.score classifier first"),
        (lambda run: {"config": dataclasses.replace(CONFIG, objective="ac")}, "use sal_rank or sal_cl"),
        (without_sound, "no train video with sound to train 'joint' on"),
        (other(labels=["left", "up"]), "was trained on other classes"),
        (other(settings=dataclasses.replace(SETTINGS, clip_step=1)), "made with clip_step=2"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence_and_leaves_nothing(run, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        train(run, tmp_path / "joint", **changes(run))
    assert not list(tmp_path.iterdir())

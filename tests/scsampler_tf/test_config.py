import dataclasses
import json

import pytest

from pipelines.errors import UserError
from scsampler_tf.config import (
    PRESETS,
    ExperimentConfig,
    SamplerConfig,
    from_dict,
    paper,
    preset,
    small,
    tiny,
    to_dict,
    with_settings,
)


@pytest.mark.parametrize("name", PRESETS)
def test_a_configuration_survives_json(name):
    config = preset(name)
    assert from_dict(json.loads(json.dumps(to_dict(config)))) == config


def test_the_papers_numbers_are_the_papers():
    config = paper()
    assert (config.selection.K, config.selection.K_prime, config.selection.fusion) == (10, 8, "union_list")
    assert (config.features.clip_frames, config.features.md_frames, config.features.residual_frames) == (
        16,
        0,
        0,
    )
    assert (config.classifier.epochs, config.classifier.resize, config.classifier.size) == (45, 256, 224)
    assert (config.md.objective, config.audio.objective, config.audio.margin) == ("ac", "sal_rank", 0.1)
    assert (config.md.arch, config.rgb_r.arch, config.audio.arch) == ("resnet18", "resnet18", "vgg_audio")


def test_what_is_not_given_comes_from_the_base():
    config = from_dict({"md": {"epochs": 7}}, tiny())
    assert config.md == dataclasses.replace(tiny().md, epochs=7)
    assert config.audio == tiny().audio


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"clasifier": {}}, "unknown setting 'clasifier'; known are features, classifier"),
        ({"md": {"epoch": 3}}, "unknown setting 'md.epoch'; known are md.arch"),
        ({"md": 3}, "md: a group of settings is needed, not 3"),
        ([], "a group of settings is needed"),
        ({"md": {"epochs": 3.5}}, "md.epochs: 3.5 is not of type int"),
        ({"md": {"epochs": True}}, "md.epochs: True is not of type int"),
        ({"md": {"learning_rate": "fast"}}, "md.learning_rate: 'fast' is not of type float"),
        ({"classifier": {"flip": 1}}, "classifier.flip: 1 is not of type bool"),
        ({"md": {"epochs": {"x": 1}}}, "md.epochs: .* is not of type int"),
        ({"md": {"epochs": 0}}, "md.epochs: 0 is not positive"),
        ({"selection": {"K": 0}}, "selection.K: 0 is not positive"),
        ({"selection": {"stride": 0}}, "selection.stride: 0 is not positive"),
        ({"selection": {"K": 5, "K_prime": 6}}, "selection.K_prime: 6 is not within 0..K=5"),
        ({"selection": {"alpha": 1.5}}, "selection.alpha: 1.5 is not within 0..1"),
        ({"selection": {"alpha": float("nan")}}, "selection.alpha: nan is not a finite number"),
        ({"selection": {"nms_gap": -1}}, "selection.nms_gap: -1 is negative"),
        ({"selection": {"nms_gap": 2**31}}, "selection.nms_gap: 2147483648 is not within 0..2147483647"),
        ({"selection": {"nms_gap": 1.5}}, "selection.nms_gap: 1.5 is not of type int"),
        ({"selection": {"temperature": -0.1}}, "selection.temperature: -0.1 is negative"),
        ({"selection": {"stop_margin": 1.1}}, "selection.stop_margin: 1.1 is not within 0..1"),
        ({"selection": {"stop_margin": -0.1}}, "selection.stop_margin: -0.1 is not within 0..1"),
        ({"selection": {"stop_margin": float("nan")}}, "selection.stop_margin: nan is not a finite number"),
        ({"selection": {"stop_least": 0}}, "selection.stop_least: 0 is not positive"),
        ({"selection": {"diversity": 1.5}}, "selection.diversity: 1.5 is not within 0..1"),
        (
            {"selection": {"diversity": 0.5, "nms_gap": 2}},
            "nms_gap: 2 and selection.diversity 0.5 both keep clips from being alike",
        ),
        (
            {"selection": {"stop_margin": 0.5, "stop_least": 11}},
            "selection.stop_least: 11 is not within 1..K=10",
        ),
        ({"selection": {"stop_least": 2}}, "stop_least: 2 without selection.stop_margin changes nothing"),
        ({"selection": {"fusion": "mean"}}, "selection.fusion: 'mean' is none of visual, audio"),
        ({"md": {"objective": "sal"}}, "md.objective: 'sal' is none of ac, sal_cl, sal_rank"),
        ({"md": {"margin": -0.1}}, "md.margin: -0.1 is negative"),
        ({"md": {"rank_form": "loose"}}, "md.rank_form: 'loose' is none of standard, printed"),
        ({"iframe": {"objective": "sal"}}, "iframe.objective: 'sal' is none of ac, sal_cl, sal_rank"),
        ({"iframe": {"features": "fc1"}}, "iframe.features: 'fc1' is for audio alone"),
        ({"classifier": {"schedule": "x"}}, "classifier.schedule: 'x' is none of cosine, step, plateau"),
        ({"audio": {"schedule": "x"}}, "audio.schedule: 'x' is none of cosine, step, plateau"),
        ({"audio": {"step_epochs": 0}}, "audio.step_epochs: 0 is not positive"),
        ({"audio": {"pretrained_rate": 0}}, "audio.pretrained_rate: 0.0 is not positive"),
        ({"audio": {"pretrained_rate": 2}}, "audio.pretrained_rate: 2.0 is above 1"),
        ({"classifier": {"pretrained_rate": 0}}, "classifier.pretrained_rate: 0.0 is not positive"),
        ({"classifier": {"pretrained_rate": 2}}, "classifier.pretrained_rate: 2.0 is above 1"),
        ({"md": {"margin": float("inf")}}, "md.margin: inf is not a finite number"),
        ({"md": {"ktr_fraction": 0.0}}, "md.ktr_fraction: 0.0 is not within"),
        ({"audio": {"dropout": 1.0}}, "audio.dropout: 1.0 is not within"),
        ({"classifier": {"crop_area": 1.0}}, "classifier.crop_area: 1.0 is not within"),
        ({"classifier": {"colour": -0.1}}, "classifier.colour: -0.1 is not within"),
        ({"audio": {"warmup_epochs": -1}}, "audio.warmup_epochs: -1 is negative"),
        ({"seed": -1}, "seed: -1 is negative"),
        ({"strategy": "tpu"}, "strategy: 'tpu' is none of one_device, mirrored"),
        ({"classifier": {"clips": "some"}}, "classifier.clips: 'some' is none of"),
        ({"classifier": {"size": 200}}, "classifier.size: larger than classifier.resize"),
        ({"classifier": {"epochs": 0}}, "classifier.epochs: 0 is not positive; only with classifier.weights"),
        ({"classifier": {"epochs": -1, "weights": "f.keras"}}, "classifier.epochs: -1 is not positive"),
        ({"md": {"epochs": 0, "weights": "f.keras"}}, "md.epochs: 0 is not positive"),
        ({"md": {"weights": 3}}, "md.weights: 3 is not of type str"),
        ({"md": {"trainable": "some", "weights": "f.keras"}}, "md.trainable: 'some' is none of all, head"),
        ({"audio": {"trainable": "head"}}, "audio.trainable: head .*; give audio.weights"),
        ({"rgb_r": {"features": "fc1"}}, "rgb_r.features: 'fc1' is for audio alone"),
        ({"audio": {"flip": True}}, "audio.flip: sound has no sides"),
        ({"audio": {"crop_area": 0.5}}, "audio.crop_area: sound has no sides"),
        ({"md": {"mask": 0.2}}, "md.mask: hides parts of sound"),
        ({"audio": {"mask": 1.0}}, "audio.mask: 1.0 is not within 0..1"),
        ({"features": {"canvas": 100}}, "features.canvas: 100 is not a multiple of 16"),
        ({"features": {"colour": 1}}, "unknown setting 'features.colour'"),
    ],
)
def test_mistakes_are_one_sentence(values, message):
    with pytest.raises(UserError, match=message):
        from_dict(values)


def test_an_unknown_preset_names_the_known_ones():
    with pytest.raises(UserError, match="unknown preset 'big'; there are small, standard, paper, tiny"):
        preset("big")


def test_settings_of_a_command_line():
    settings = ["classifier.epochs=3", "md.learning_rate=1", "classifier.flip=true", "classifier.cache=False"]
    config = with_settings(small(), [*settings, " md.arch = resnet18", 'strategy="mirrored"', "seed=5"])
    assert config.classifier.epochs == 3
    assert config.md.learning_rate == 1.0
    assert isinstance(config.md.learning_rate, float)
    assert config.classifier.flip is True
    assert config.classifier.cache is False
    assert (config.md.arch, config.strategy, config.seed) == ("resnet18", "mirrored", 5)
    assert with_settings(small(), ["md.epochs=1", "md.epochs=2"]).md.epochs == 2
    assert with_settings(small(), []) == small()


def test_initial_weights_of_a_command_line():
    settings = ["classifier.weights=f.keras", "classifier.epochs=0", "audio.weights=runs/a.keras"]
    config = with_settings(paper(), [*settings, "audio.trainable=head", "audio.features=conv4_2"])
    assert (config.classifier.weights, config.classifier.epochs) == ("f.keras", 0)
    assert config.audio == dataclasses.replace(
        paper().audio, weights="runs/a.keras", trainable="head", features="conv4_2"
    )


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["classifier.epochs"], "write it as part.key=value"),
        (["classifier=3"], "classifier: a group of settings is needed"),
        (["classifier=3", "classifier.epochs=3"], "classifier was given a value of its own"),
        (["md.margin=NaN"], "not a finite number"),
        (["=3"], "unknown setting ''"),
    ],
)
def test_mistakes_of_a_command_line(settings, message):
    with pytest.raises(UserError, match=message):
        with_settings(small(), settings)


def test_a_configuration_is_checked_where_it_is_made():
    with pytest.raises(UserError, match=r"md\.batch: -1 is not positive"):
        ExperimentConfig(md=SamplerConfig(batch=-1))


def test_a_run_too_old_to_know_of_i_frames_takes_the_settings_of_the_residuals():
    values = to_dict(small())
    del values["iframe"]
    assert from_dict(values) == small()
    values["rgb_r"]["epochs"] = 3
    assert from_dict(values).iframe.epochs == 3
    assert from_dict({"rgb_r": {"epochs": 4}}, small()).iframe == small().iframe


def test_a_run_too_old_to_know_of_what_goes_beyond_the_paper_has_it_off():
    values = to_dict(small())
    for name in ("nms_gap", "diversity", "stop_margin", "stop_least", "temperature"):
        del values["selection"][name]
    found = from_dict(values)
    assert found == small()
    assert (found.selection.nms_gap, found.selection.stop_margin, found.selection.temperature) == (0, 0, 0)


def test_what_goes_beyond_the_paper_of_a_command_line():
    settings = ["selection.nms_gap=2", "selection.stop_margin=1", "selection.stop_least=5"]
    selection = with_settings(small(), [*settings, "selection.temperature=0.2"]).selection
    assert (selection.nms_gap, selection.stop_margin, selection.stop_least) == (2, 1.0, 5)
    assert selection.temperature == 0.2

import dataclasses

import pytest

from scsampler_tf.config import ExperimentConfig, paper, small
from scsampler_tf.models import create
from scsampler_tf.models.sampler import frame_shape, input_kind
from scsampler_tf.variant_plan import (
    KIND_NAMES,
    PLANS,
    SHUFFLENET,
    audio_layers,
    audio_source,
    effective,
    variants_of,
    vary,
)
from scsampler_tf.workdir import Workdir


def names(table, config, sound=True):
    return [variant.name for variant in variants_of(PLANS[table](config, sound))]


def with_part(config, kind, **changes):
    return dataclasses.replace(config, **{kind: dataclasses.replace(getattr(config, kind), **changes)})


def test_what_equals_the_run_is_the_runs_own(tmp_path):
    own = vary(paper(), "md", objective="ac", ktr_fraction=0.25)  # AC knows no K_tr
    assert (own.name, own.own, own.config) == ("md", True, paper().md)
    workdir = Workdir(tmp_path)
    assert own.model(workdir) == tmp_path / "models" / "md"
    assert own.table(workdir) == tmp_path / "scores" / "md.npz"
    other = vary(paper(), "md", objective="sal_cl", ktr_fraction=0.25)
    assert (other.own, other.config.objective, other.config.ktr_fraction) == (False, "sal_cl", 0.25)
    assert other.model(workdir) == tmp_path / "models" / "variants" / "md-sal_cl-ktr_0.25"
    assert other.table(workdir) == tmp_path / "scores" / "variants" / "md-sal_cl-ktr_0.25.npz"


def test_settings_that_an_objective_does_not_look_at_make_no_variant():
    config = dataclasses.replace(paper().md, margin=0.3, rank_form="printed", ktr_fraction=0.25)
    assert effective(config) == paper().md
    rank = dataclasses.replace(config, objective="sal_rank")
    assert effective(rank) == dataclasses.replace(rank, ktr_fraction=0.5)
    top = dataclasses.replace(config, objective="sal_cl")
    assert effective(top) == dataclasses.replace(top, margin=0.1, rank_form="standard")


def test_table_4_has_every_objective_once():
    assert names("objectives", paper()) == [
        *("md", "rgb_r", "md-sal_cl", "rgb_r-sal_cl", "md-sal_rank", "rgb_r-sal_rank"),
        *("audio-ac", "audio-sal_cl", "audio"),
    ]
    assert names("objectives", paper(), sound=False)[-1] == "rgb_r-sal_rank"
    rows = PLANS["objectives"](small(), True)
    assert [row.key for row in rows[:3]] == ["visual-ac", "visual-sal_cl", "visual-sal_rank"]
    assert [row.scheme for row in rows] == ["visual"] * 9 + ["audio"] * 3
    assert [variant.name for variant in rows[2].variants] == ["md", "rgb_r"]  # trained with SAL-RANK


def test_table_5_trains_six_networks_for_its_sums():
    own, shuffle = ["iframe", "md", "rgb_r"], [f"{kind}-{SHUFFLENET}" for kind in ("iframe", "md", "rgb_r")]
    assert names("features", paper()) == own + shuffle
    titles = [row.title for row in PLANS["features"](paper(), True)]
    assert titles[3:5] == ["MD + RGB-R, resnet18", "IF + MD + RGB-R, resnet18"]
    assert titles[-1] == "IF + MD + RGB-R, shufflenet_26"
    config = paper()
    for kind in own:
        config = with_part(config, kind, arch=SHUFFLENET)
    assert names("features", config) == own
    assert len(PLANS["features"](config, True)) == 5
    weighted = with_part(paper(), "md", weights="imagenet.keras", trainable="head")
    variant = vary(weighted, "md", arch=SHUFFLENET)
    assert (variant.config.weights, variant.config.trainable) == ("", "all")


@pytest.mark.parametrize("config", [small(), paper()])
@pytest.mark.parametrize("kind", ["md", "rgb_r", "iframe"])
def test_shufflenet_takes_the_pictures_of_every_preset(config, kind):
    shape = frame_shape(kind, config.features)
    network = create(SHUFFLENET, num_classes=2, input_shape=shape, inputs=input_kind(kind))
    assert network.output_shape == (None, 2)


def test_table_6_begins_with_the_runs_own_classification_without_weights():
    found = variants_of(PLANS["audio"](small(), True))
    assert [variant.name for variant in found] == [
        *("audio-ac", "audio-from_audio-ac", "audio-head-conv4_2-from_audio-ac"),
        *("audio-head-pool4-from_audio-ac", "audio-head-fc1-from_audio-ac", "audio"),
    ]
    assert {variant.begins_with.name for variant in found[1:5]} == {"audio-ac"}
    assert [variant.config.features for variant in found[1:5]] == ["", "conv4_2", "pool4", "fc1"]
    assert {variant.config.objective for variant in found[1:]} == {"sal_rank"}
    given = with_part(small(), "audio", weights="vggish.keras")
    assert audio_source(given) is None
    assert [variant.name for variant in variants_of(PLANS["audio"](given, True))] == [
        *("audio", "audio-head-conv4_2", "audio-head-pool4", "audio-head-fc1")
    ]
    classified = with_part(small(), "audio", objective="ac")
    assert names("audio", classified)[:2] == ["audio", "audio-sal_rank-from_audio"]
    assert PLANS["audio"](small(), False) == []
    assert audio_layers("vgg_audio") == ["conv4_2", "pool4", "fc1"]


def test_figure_3_shares_its_middle_with_table_4():
    found = names("sweep-ktr", ExperimentConfig())
    assert found[:4] == [
        *("md-sal_cl-ktr_0.125", "rgb_r-sal_cl-ktr_0.125", "md-sal_cl-ktr_0.25", "rgb_r-sal_cl-ktr_0.25")
    ]
    assert {"md-sal_cl", "rgb_r-sal_cl", "audio-sal_cl"} <= set(found)
    assert len(found) == 12
    halves = with_part(ExperimentConfig(), "md", objective="sal_cl", ktr_fraction=0.25)
    assert {"md", "md-ktr_0.5"} <= set(names("sweep-ktr", halves))
    assert "audio-sal_cl" not in names("sweep-ktr", ExperimentConfig(), sound=False)


def test_every_row_has_a_name_and_samplers_of_one_sense():
    for plan in PLANS.values():
        rows = plan(paper(), True)
        assert len({row.key for row in rows}) == len({row.title for row in rows}) == len(rows)
        for row in rows:
            assert len({variant.kind == "audio" for variant in row.variants}) == 1
            assert {variant.kind for variant in row.variants} <= set(KIND_NAMES)

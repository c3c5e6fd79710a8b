"""The table of what goes beyond the paper on the run made by hand."""

import dataclasses
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.experiments.beyond import options, table
from scsampler_tf.experiments.catalogue import TABLES, make
from scsampler_tf.experiments.writing import write_table
from scsampler_tf.tables import ScoreTable
from tests.scsampler_tf.experiments.runs import LABELS, LENGTHS, NAN, hand_run

FIXED = ["apart-2", "apart-3", "stop-0.3", "stop-0.6", "stop-0.9"]
WEIGHTED = ["weighted-0.05", "weighted-0.2", "weighted-1"]


def by_name(found, section=0):
    return {row["name"]: row for row in found.sections[section].rows}


def validated(run):
    """The run with validation videos that are its test videos again."""
    videos = [
        dataclasses.replace(
            video, video_id=f"v{row}", clips=int(LENGTHS[row]), label="ab"[LABELS[row]], split="val"
        )
        for row, video in enumerate(run.data.videos)
    ]
    data, cut = run.data, range(len(videos))
    values = {
        "classifier": [data.probabilities[row, : LENGTHS[row]] for row in cut],
        "md": [data.visual[row, : LENGTHS[row]] for row in cut],
        "audio": [
            np.where(data.has_audio[row], data.audio[row], NAN)[: LENGTHS[row]].astype(np.float32)
            for row in cut
        ],
    }
    values["rgb_r"] = values["md"]
    tables = {
        kind: ScoreTable(kind, {f"v{row}": each for row, each in enumerate(rows)}, run.tables[kind].made_by)
        for kind, rows in values.items()
    }
    index = dataclasses.replace(run.index, videos=videos)
    return dataclasses.replace(run, index=index, tables={**run.tables, **tables})


def test_every_option_has_a_row_and_is_compared_with_the_plain_one():
    found = make("beyond", hand_run(fusion="visual"))
    assert TABLES["beyond"][1].startswith("beyond the paper: redundant clips avoided")
    rows = by_name(found)
    assert list(rows) == ["visual", *FIXED, *WEIGHTED, "dense"]
    assert rows["apart-2"]["method"] == "SCSampler, visual, 2 clips apart"
    # Clips 0+2, 2+1, both, the only one; apart 2: clips 2+0 of the second video; 0.4 either way.
    assert rows["visual"]["accuracy"] == 2 / 4
    assert rows["apart-2"]["accuracy"] == 2 / 4
    # Clip 0 (0.8 ahead), 2 (0.8), 0 (0.4), 0 (0.6): the first is enough for every video.
    assert rows["stop-0.3"]["clips_per_video"] == 1
    assert rows["stop-0.3"]["gflops_per_video"] == pytest.approx(0.5 * 2.5 + 2)
    # 0.4 and 0.6 are not 0.9 ahead, nor are two.
    assert rows["stop-0.9"]["clips_per_video"] == rows["visual"]["clips_per_video"] == 7 / 4
    assert rows["stop-0.6"]["clips_per_video"] < 7 / 4
    against = by_name(found, 1)
    assert list(against) == [*FIXED, *WEIGHTED]
    assert {row["against"] for row in against.values()} == {"SCSampler, visual"}
    assert against["apart-2"]["difference"] == 0
    values = found.to_dict()
    assert json.loads(json.dumps(values, allow_nan=False)) == json.loads(json.dumps(values))
    notes = " ".join(found.notes)
    assert "4 videos of split test" in notes
    assert "No margin is tuned: no video of split val has scores" in notes
    assert "python -m scsampler_tf.score activations --workdir runs/hand" in notes


def test_a_margin_is_tuned_on_validation_videos():
    found = table(validated(hand_run(fusion="visual")))
    rows, tuned = by_name(found), found.used["tuned"]
    # The largest margin with which one clip of each video is enough is 0.4, the third video's.
    margin = tuned["0"]["rule"]["margin"]
    assert 0.3 < margin <= 0.4
    assert (tuned["0"]["clips_per_video"], tuned["0"]["full_clips_per_video"]) == (1, 7 / 4)
    assert rows["stop-tuned-0"]["clips_per_video"] == 1
    assert rows["stop-tuned-0"]["method"].endswith(f"stops at {margin:g}, tuned to lose 0 points")
    assert list(rows)[6:8] == ["stop-tuned-0", "stop-tuned-0.02"]
    assert "tuned on split val for 0 points that may be lost: accuracy 50.0%" in " ".join(found.notes)
    same = dataclasses.replace(validated(hand_run(fusion="visual")), split="val")
    assert "their rows promise too much" in " ".join(table(same).notes)


def test_a_margin_that_spares_nothing_has_no_row():
    found = table(validated(hand_run(fusion="visual", K=1, K_prime=1)))
    assert not [name for name in by_name(found) if name.startswith("stop-tuned")]
    assert "on split val no margin needs fewer clips" in " ".join(found.notes)


def test_activations_give_rows_of_diversity():
    run = hand_run()
    features = np.ones((*run.data.mask.shape, 1), np.float16)
    found = table(dataclasses.replace(run, data=dataclasses.replace(run.data, features=features)))
    rows = by_name(found)
    assert list(rows)[:5] == ["union_list", "apart-2", "apart-3", "diverse-0.25", "diverse-0.5"]
    # All clips are alike, so saliency alone decides.
    assert rows["diverse-0.5"]["accuracy"] == rows["union_list"]["accuracy"]
    assert "by the activations of the sampler md" in " ".join(found.notes)


def test_the_run_s_own_settings_have_a_row_of_their_own():
    found = table(hand_run(fusion="visual", nms_gap=2, stop_margin=0.3))
    rows = by_name(found)
    assert rows["own"]["clips_per_video"] == 1
    assert rows["visual"]["clips_per_video"] == 7 / 4
    assert "own" in by_name(found, 1)


@pytest.mark.parametrize(("missing", "scheme"), [({"audio": None}, "visual"), ({"visual": None}, "audio")])
def test_one_sampler_is_enough(missing, scheme):
    assert next(iter(by_name(table(hand_run(**missing))))) == scheme


def test_without_samplers_the_command_is_named():
    with pytest.raises(UserError, match=r"beyond: this run has no scores of a sampler md or rgb_r"):
        table(hand_run(visual=None, audio=None))


def test_one_option_at_a_time():
    plain = hand_run().selection
    for name, (_, config) in options(plain, {0.0: 0.4}, compared=True).items():
        changed = {key for key, value in dataclasses.asdict(config).items() if getattr(plain, key) != value}
        assert len(changed) == 1, name


def test_its_files(tmp_path):
    paths = write_table(table(hand_run(device="2 CPU cores")), tmp_path)
    assert {path.name for path in paths} == {"beyond.json", "beyond.md", "beyond.png"}
    text = (tmp_path / "beyond.md").read_text()
    assert "| SCSampler, AV-union-list, weighted at 0.05 |" in text

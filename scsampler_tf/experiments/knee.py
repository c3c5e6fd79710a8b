"""What the visual sampler costs and what it brings: residual size, P-frames a clip, MD alone, networks."""

from collections.abc import Sequence

import numpy as np

from pipelines.errors import UserError
from pipelines.files import read_json
from scsampler_tf.experiments.knee_panels import WORDS, panel
from scsampler_tf.experiments.knee_rule import RULE, best, front, knee
from scsampler_tf.experiments.knee_spots import Spot, spots_of, without_samplers
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import COMPARISON_NOTE, LOCALISATION_COLUMNS, METHOD_COLUMNS, base_notes
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Section, Table
from scsampler_tf.experiments.variant_rows import MEAN_NOTE, baselines, comparison
from scsampler_tf.knee import EXTRACTION, known_plan
from scsampler_tf.knee_plan import NAME, Row, knee_folder, rows_of, samplers_of
from scsampler_tf.methods import Result
from scsampler_tf.tables import load_table

COLUMNS = [
    *(column for column in METHOD_COLUMNS if column.key not in ("clips_per_video", "seconds_per_video")),
    Column("sampler_mflops", "Sampler MFLOPs / clip", "number"),
    Column("feature_seconds", "Features, s / clip", "number"),
    Column("network_seconds", "Sampler networks, s / clip", "number"),
    Column("seconds_per_video", "Seconds / video", "number"),
]
LAST_COLUMNS = [Column("front", "On the front of"), Column("knee", "Knee by")]
COST_NOTE = (
    "GFLOPs: sampler and classifier, 1e9 multiply-adds. Front: no other point is cheaper and at least as "
    "accurate, or as cheap and more accurate."
)
ONE_NOTE = (
    "Every point is one training with one seed: differences between neighbours can be luck of training, "
    "which neither intervals nor comparisons over videos see."
)


def table(run: Run) -> Table:
    """The points that have scores. Raises `UserError` with the command that makes them if there are none."""
    rows, lacking = _scored_rows(run)
    extraction = _extraction(run)
    spots = spots_of(run, rows, extraction)
    axes = [axis for axis in WORDS if all(spot.cost(axis) is not None for spot in spots)]
    seed = run.config.seed
    knees = {axis: knee([spot.cost(axis) for spot in spots], _correct(spots), seed) for axis in axes}
    others = baselines(without_samplers(run))
    results = {spot.row.key: spot.result for spot in spots}
    names = {**TITLES, **{row.key: row.title for row in rows}}
    top = spots[_best(spots)]
    pairs = [(spot.row.key, top.row.key) for spot in spots if spot is not top]
    sections = [_section(run, spots, others, knees)]
    if pairs:
        sections.append(comparison(pairs, results, names, seed))
    about = run.about()
    used = about["used"]
    used["variants"] = {each.name: _made_by(run, each) for each in samplers_of(rows)}
    used["extraction"] = extraction
    return Table(
        name=NAME,
        title=f"What the visual sampler costs, K={run.selection.K}",
        sections=sections,
        panels=[panel(axis, spots, others, knees[axis]) for axis in axes],
        notes=[
            *base_notes(used, about["config"]["selection"]),
            *_knee_notes(spots, knees, top),
            COST_NOTE,
            _time_note(spots, extraction),
            *([f"Without scores yet: {', '.join(lacking)}."] if lacking else []),
            ONE_NOTE,
            MEAN_NOTE,
            COMPARISON_NOTE,
        ],
        **about,
    )


def _command(run: Run) -> str:
    return f"python -m scsampler_tf.knee --workdir {run.workdir.path}"


def _scored_rows(run: Run) -> tuple[list[Row], list[str]]:
    """Rows whose samplers all have scores, and the names of the samplers that have none."""
    wanted = known_plan(run.workdir)
    if wanted is None:
        raise UserError(f"{NAME}: no points yet; make them with {_command(run)}")
    rows = rows_of(run.config, wanted)
    lacking = [each.name for each in samplers_of(rows) if not each.table(run.workdir).exists()]
    there = [row for row in rows if not any(each.name in lacking for each in row.samplers)]
    if not there:
        raise UserError(f"{NAME}: no point has scores yet; make them with {_command(run)}")
    return there, lacking


def _correct(spots: Sequence[Spot]) -> list[np.ndarray]:
    return [spot.result.correct for spot in spots]


def _best(spots: Sequence[Spot]) -> int:
    return best([spot.cost("gflops") for spot in spots], [spot.result.accuracy for spot in spots])


def _extraction(run: Run) -> dict | None:
    path = knee_folder(run.workdir) / EXTRACTION
    return read_json(path) if path.exists() else None


def _made_by(run: Run, sampler) -> dict:
    return load_table(sampler.table(run.workdir)).made_by


def _section(run: Run, spots: Sequence[Spot], others: dict[str, Result], knees: dict[str, int]) -> Section:
    accuracies = [spot.result.accuracy for spot in spots]
    fronts = {axis: front([spot.cost(axis) for spot in spots], accuracies) for axis in knees}
    rows = []
    for place, spot in enumerate(spots):
        rows.append(
            {
                **_plain(spot.row.key, spot.row.title, spot.result),
                "sampler_mflops": spot.sampler_mflops,
                "feature_seconds": spot.feature_seconds,
                "network_seconds": spot.network_seconds,
                "seconds_per_video": spot.seconds,
                "front": ", ".join(WORDS[axis] for axis, on in fronts.items() if on[place]) or None,
                "knee": ", ".join(WORDS[axis] for axis, at in knees.items() if at == place) or None,
            }
        )
    rows += [_plain(name, TITLES[name], result) for name, result in others.items()]
    localised = any("precision" in row for row in rows)
    columns = COLUMNS[:3] + (LOCALISATION_COLUMNS if localised else []) + COLUMNS[3:] + LAST_COLUMNS
    return Section("Points", columns, rows)


def _plain(key: str, title: str, result: Result) -> dict:
    values = result.to_dict()
    return {"name": key, "method": title, **values.pop("localisation", {}), **values}


def _knee_notes(spots: Sequence[Spot], knees: dict[str, int], top: Spot) -> list[str]:
    named = [f"by {WORDS[axis]} {spots[place].row.title}" for axis, place in knees.items()]
    return [f"The knee: {'; '.join(named)}. It is {RULE}; the most accurate is {top.row.title}."]


def _time_note(spots: Sequence[Spot], extraction: dict | None) -> str:
    if extraction is None or any(spot.seconds is None for spot in spots):
        return (
            'Seconds are not known of every point ("-"): they need the timing of feature extraction, with '
            "which the command knee ends, and score tables with times of all networks on one device."
        )
    machine = ", ".join(f"{key} {value}" for key, value in extraction["machine"].items())
    return (
        "Seconds: reading a video for its features, all clips, plus the networks of the sampler and the "
        "classifier, from times noted while scoring, one network after the other. Decoding the chosen clips "
        "for the classifier is not in them, and baselines have the classifier's alone. Features were timed "
        f"for all settings in turns on {len(extraction['videos'])} videos ({extraction['clips']} clips, "
        f"median of {extraction['rounds']} rounds; {machine}; load {extraction['load'][0]} before). Beside "
        "MD alone one residual of the smallest size is made, which the pass over a video cannot leave out."
    )

"""Rows, columns, curves and notes that several tables share."""

import numpy as np

from scsampler_tf.config import SelectionConfig
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.paired import compare
from scsampler_tf.experiments.table import Column, Panel, Section, Series
from scsampler_tf.methods import Result

BASELINES = ("dense", "uniform", "random")
OWN = ("visual", "audio", "union_list", "convex_score", "convex_list", "intersect_list", "joint")
ACCURACY = "accuracy (share of videos)"

METHOD_COLUMNS = [
    Column("method", "Method"),
    Column("accuracy", "Accuracy", "percent"),
    Column("accuracy_ci", "95 % interval", "percent"),
    Column("clips_per_video", "Clips / video", "tenths"),
    Column("gflops_per_video", "GFLOPs / video", "hundredths"),
    Column("seconds_per_video", "Seconds / video", "number"),
]
LOCALISATION_COLUMNS = [Column("precision", "Precision", "percent"), Column("recall", "Recall", "percent")]
COMPARISON_COLUMNS = [
    Column("method", "Method"),
    Column("against", "Against"),
    Column("difference", "Difference (points)", "points"),
    Column("interval", "95 % interval", "points"),
    Column("ahead", "Videos ahead", "integer"),
    Column("behind", "Videos behind", "integer"),
    Column("p_value", "p", "probability"),
    Column("verdict", "Better?"),
]
COMPARISON_NOTE = (
    "Comparisons: the same videos under both methods; the interval is a bootstrap over videos of the "
    "difference in accuracy, p the exact two-sided sign test over videos on which one of the two is more "
    "often right (McNemar's exact test where neither is random), not corrected for the number of "
    'comparisons. "better" or "worse" only if the interval leaves out 0 and p < 0.05.'
)
BAND_NOTE = "Bands and whiskers are 95 % bootstrap intervals over videos."


def method_section(rows: dict[str, dict], title: str, names: dict[str, str] = TITLES) -> Section:
    """One row a method, from `Result.to_dict`."""
    localised = any("localisation" in row for row in rows.values())
    columns = METHOD_COLUMNS + (LOCALISATION_COLUMNS if localised else [])
    keys = [column.key for column in METHOD_COLUMNS]
    plain = [
        {
            **{key: row.get(key) for key in keys},
            **row.get("localisation", {}),
            "name": name,
            "method": names[name],
        }
        for name, row in rows.items()
    ]
    return Section(title, columns, plain)


def comparisons(rows: dict[str, Result], seed: int, names: dict[str, str] = TITLES) -> list[dict]:
    """Every SCSampler row against dense, uniform and random."""
    found = []
    for name in (name for name in OWN if name in rows):
        for other in BASELINES:
            test = compare(rows[name].correct, rows[other].correct, seed)
            found.append(
                {
                    "name": name,
                    "method": names[name],
                    "against": names[other],
                    "difference": test.difference,
                    "interval": list(test.interval),
                    "ahead": test.ahead,
                    "behind": test.behind,
                    "p_value": test.p_value,
                    "verdict": test.verdict,
                }
            )
    return found


def comparison_section(rows: list[dict]) -> Section:
    """`comparisons` as a section."""
    return Section("SCSampler against the baselines, video by video", COMPARISON_COLUMNS, rows)


def accuracy_bars(rows: dict[str, dict], names: dict[str, str] = TITLES) -> Panel:
    """Accuracy of methods as bars with their intervals."""
    series = []
    for name, row in rows.items():
        low, high = row["accuracy_ci"]
        series.append(Series(name, names[name], [names[name]], [row["accuracy"]], [low], [high]))
    return Panel("accuracy", "", ACCURACY, series, "bars")


def cost_points(rows: dict[str, dict], names: dict[str, str] = TITLES) -> Panel:
    """Accuracy of methods against what they cost."""
    series = [
        Series(name, names[name], [row["gflops_per_video"]], [row["accuracy"]]) for name, row in rows.items()
    ]
    return Panel("accuracy against cost", "GFLOPs per video (1e9 multiply-adds)", ACCURACY, series)


def curve(name: str, x: list, results: list[Result], label: str = "") -> Series:
    """Accuracy over x with its intervals."""
    return Series(
        name,
        label or TITLES[name],
        x,
        [result.accuracy for result in results],
        [result.accuracy_ci[0] for result in results],
        [result.accuracy_ci[1] for result in results],
    )


def stands_on(used: dict, selection: dict) -> str:
    """One sentence: videos, K and the other settings of the choice."""
    return (
        f"{used['videos']} videos of split {used['split']} ({used['videos_with_sound']} with sound, "
        f"{len(used['refused'])} files refused), K={selection['K']}, K'={selection['K_prime']}, "
        f"alpha {selection['alpha']}, stride {selection['stride']}, random and empirical over "
        f"{used['random_draws']} draws."
    )


def base_notes(used: dict, selection: dict) -> list[str]:
    """What every table stands on, and what makes it say less than it seems to."""
    notes = [stands_on(used, selection)]
    K, longest = selection["K"], used["longest_video_clips"]
    if longest <= K:
        notes.append(
            f"The longest video has {longest} clips and K is {K}, so every method classifies everything; "
            "give a smaller K with --set selection.K=..."
        )
    if used["not_scored"]:
        notes.append(f"{len(used['not_scored'])} videos have no classifier scores and are left out.")
    networks = [
        f"{kind} {made_by.get('network', '?')}"
        + (f" ({made_by['objective']})" if made_by.get("objective") else "")
        for kind, made_by in used["networks"].items()
    ]
    notes.append(f"Networks, by the digest of their file: {', '.join(networks)}; seed {used['seed']}.")
    return notes


def time_note(used: dict) -> str:
    """What the column of seconds is."""
    timing = used["timing"]
    devices = {each.get("device") for each in timing.values()}
    if len(devices) != 1 or None in devices:
        return (
            'Seconds are not known ("-"): the score tables hold no times of all networks on one device; '
            "delete them and run python -m scsampler_tf.score all to have them measured."
        )
    clips = ", ".join(f"{kind} {1000 * each['seconds_per_clip']:.3g} ms" for kind, each in timing.items())
    return (
        f"Seconds: sampler and classifier networks alone on {devices.pop()}, from times a clip measured "
        f"while scoring ({clips}); reading, decoding and feature extraction are not in them."
    )


def steps(last: int, *extra: int) -> list[int]:
    """1 to 10, then ever wider steps up to `last`, with the extra values within it."""
    wide = [12, 15, 20, 25, 30, 40, 50, 75, 100]
    return sorted({value for value in (*range(1, 11), *wide, *extra) if 1 <= value <= last})


def with_k(config: SelectionConfig, K: int) -> dict:
    """Settings of the choice for another K: K' keeps its share of K, halves rounded up."""
    return {"K": K, "K_prime": int(np.floor(config.K_prime * K / config.K + 0.5))}

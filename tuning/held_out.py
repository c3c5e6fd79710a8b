"""The look at the test videos at the end of a search: once for the settings that were chosen."""

import dataclasses
import hashlib
import json
from pathlib import Path

import numpy as np

from pipelines.files import read_json, write_json, write_text
from scsampler_tf.aggregate import bootstrap_interval
from scsampler_tf.config import SelectionConfig
from scsampler_tf.experiments.paired import compare
from tuning.assess import assess_each
from tuning.free import describe
from tuning.rows import Row
from tuning.study import Study

NAME, TABLE_NAME = "test.json", "test.md"
SPLIT = "test"
# Sections 4.1 and 4.2 of the paper and its table 7: K = 10, K' = 8; alpha 0.8 on lists, 0.9 on scores.
PAPER = {
    "union_list": {"K_prime": 8},
    "convex_list": {"alpha": 0.8},
    "convex_score": {"alpha": 0.9},
}
PAPER_K = 10


def paper_settings(study: Study) -> dict[str, SelectionConfig]:
    """The paper's defaults, for the samplers that the run has."""
    plain = SelectionConfig(K=PAPER_K)
    schemes = study.free.schemes
    if len(schemes) == 1:
        return {f"paper, {schemes[0]}": dataclasses.replace(plain, fusion=schemes[0])}
    return {
        f"paper, {scheme}": dataclasses.replace(plain, fusion=scheme, **values)
        for scheme, values in PAPER.items()
    }


def look(study: Study, chosen: dict[str, Row], own: Row, folder: Path) -> dict | None:
    """Accuracy and cost of the `chosen` settings on the test videos beside the run's own and the paper's.

    Kept in test.json: the same settings of the same networks are not looked at again. None where no test
    video is scored.
    """
    rows = {name: (row.samplers, row.selection) for name, row in chosen.items()}
    rows["own"] = (own.samplers, own.selection)
    rows |= {name: (own.samplers, selection) for name, selection in paper_settings(study).items()}
    digest = _digest(study, rows)
    there = read_json(folder / NAME) if (folder / NAME).exists() else {}
    if there.get("of") == digest:
        return there
    if not any(video.video_id in study.tables["classifier"].values for video in study.index.of_split(SPLIT)):
        return None
    found = {
        name: assess_each(study.data(samplers, SPLIT), selection, study.costs)
        for name, (samplers, selection) in rows.items()
    }
    seed = study.config.seed
    results = {"of": digest, "looks": there.get("looks", 0) + 1, "videos": 0, "rows": {}}
    for name, (assessment, right) in found.items():
        results["videos"] = len(right)
        results["rows"][name] = {
            "settings": describe(rows[name][1]),
            "accuracy": assessment.accuracy,
            "accuracy_ci": list(bootstrap_interval(right, seed)),
            "gflops_per_video": assessment.gflops_per_video,
            "best_against_it": _compared(found["best"][1], right, seed) if name != "best" else None,
        }
    write_json(folder / NAME, results)
    write_text(folder / TABLE_NAME, as_markdown(results))
    return results


def _compared(best: np.ndarray, other: np.ndarray, seed: int) -> dict:
    found = compare(best, other, seed)
    return {**dataclasses.asdict(found), "verdict": found.verdict}


def _digest(study: Study, rows: dict) -> str:
    key = {
        name: [
            {kind: table.made_by for kind, table in study.tables_of(samplers).items()},
            dataclasses.asdict(selection),
        ]
        for name, (samplers, selection) in rows.items()
    }
    key["videos"] = [video.video_id for video in study.index.of_split(SPLIT)]
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]


def as_markdown(results: dict) -> str:
    """The look as a table."""
    lines = [
        "| Settings | | Test accuracy | 95 % | GFLOPs / video | best minus it, points | p |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for name, row in results["rows"].items():
        low, high = row["accuracy_ci"]
        shown = [name, row["settings"], f"{row['accuracy']:.1%}", f"{low:.1%} to {high:.1%}"]
        shown.append(f"{row['gflops_per_video']:.3f}")
        against = row["best_against_it"]
        if against is None:
            shown += ["", ""]
        else:
            low, high = (100 * each for each in against["interval"])
            difference = 100 * against["difference"]
            shown += [f"{difference:+.1f} ({low:+.1f} to {high:+.1f})", f"{against['p_value']:.2g}"]
        lines.append(f"| {' | '.join(shown)} |")
    times = "once" if results["looks"] == 1 else f"{results['looks']} times, for other settings each"
    note = (
        f"{results['videos']} test videos, looked at {times}. Differences are paired over videos, with a "
        "bootstrap interval and the exact sign test; own and paper use the run's own samplers."
    )
    return "\n".join(lines) + f"\n\n{note}\n"

"""What a search found: the best settings as a file, trials as CSV and Markdown, a summary."""

import csv
import dataclasses
import io
from dataclasses import dataclass
from pathlib import Path

from pipelines.files import write_json, write_text
from tuning.assess import Assessment
from tuning.margins import Place
from tuning.spaces import Setting

OWN = "own"
BEST_NAME, CSV_NAME, TABLE_NAME = "best.json", "trials.csv", "trials.md"
TOP = 10


@dataclass(frozen=True)
class Row:
    """One trial that is done; the run's own settings are trial `own`."""

    trial: str
    setting: Setting
    assessment: Assessment


def best_of(rows: list[Row]) -> Row:
    """The row with the highest objective, of equals the first."""
    return max(rows, key=lambda row: row.assessment.objective)


def best_file(rows: list[Row], place: Place | None, videos: int, search: dict) -> dict:
    """The content of best.json, which `evaluate --best` and `export --best` take.

    `rows` begin with the run's own settings. `place` is where the best row's audio sampler lies, None
    where no audio sampler takes part.
    """
    best, own = best_of(rows), rows[0]
    audio = None
    if place is not None:
        audio = {
            "margin": best.setting.margin,
            "folder": place.folder.as_posix(),
            "table": place.table.as_posix(),
        }
    return {
        "selection": dataclasses.asdict(best.setting.selection),
        "audio": audio,
        "val": {"videos": videos, **dataclasses.asdict(best.assessment)},
        "trial": best.trial,
        "trials": len(rows) - 1,
        "own": {
            "selection": dataclasses.asdict(own.setting.selection),
            "margin": own.setting.margin,
            "val": dataclasses.asdict(own.assessment),
        },
        "search": search,
    }


def write_report(folder: Path, rows: list[Row], best: dict) -> None:
    """Writes best.json, trials.csv and trials.md, each whole or not at all."""
    write_json(folder / BEST_NAME, best)
    write_text(folder / CSV_NAME, as_csv(rows))
    write_text(folder / TABLE_NAME, as_markdown(rows, best["val"]["videos"]))


def as_csv(rows: list[Row]) -> str:
    """All trials in their order, one a line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    selection = [field.name for field in dataclasses.fields(rows[0].setting.selection)]
    numbers = [field.name for field in dataclasses.fields(Assessment)]
    writer.writerow(["trial", *selection, "margin", *numbers])
    for row in rows:
        chosen, found = row.setting.selection, row.assessment
        margin = "" if row.setting.margin is None else row.setting.margin
        writer.writerow(
            [
                row.trial,
                *(getattr(chosen, name) for name in selection),
                margin,
                *(getattr(found, name) for name in numbers),
            ]
        )
    return text.getvalue()


def as_markdown(rows: list[Row], videos: int) -> str:
    """The best ten trials, and the run's own settings for comparison."""
    ranked = sorted(rows, key=lambda row: -row.assessment.objective)
    shown = ranked[:TOP] + [row for row in ranked[TOP:] if row.trial == OWN]
    lines = [
        "| Place | Trial | Settings | Val accuracy | True-class score | GFLOPs / video |",
        "|---:|---|---|---:|---:|---:|",
    ]
    for row in shown:
        found = row.assessment
        cells = [str(ranked.index(row) + 1), row.trial, row.setting.describe(), f"{found.accuracy:.1%}"]
        cells += [f"{found.true_score:.3f}", f"{found.gflops_per_video:.3f}"]
        lines.append(f"| {' | '.join(cells)} |")
    note = (
        f"{len(rows) - 1} trials on {videos} validation videos; '{OWN}' are the run's own settings. Ranked "
        "by accuracy, then the classifier's mean score of the true class on the chosen clips (to three "
        "decimals), then lower GFLOPs (1e9 multiply-adds, sampler plus classifier)."
    )
    return "\n".join(lines) + f"\n\n{note}\n"


def line(row: Row) -> str:
    """One trial on one line."""
    found = row.assessment
    return (
        f"{row.setting.describe()}: accuracy {found.accuracy:.1%}, true class {found.true_score:.3f}, "
        f"{found.gflops_per_video:.3f} GFLOPs"
    )


def summary(rows: list[Row], folder: Path, workdir: Path, videos: int) -> str:
    """How the best compares with the run's own settings, where everything lies, what to do next."""
    best, own = best_of(rows), rows[0]
    lines = ["", as_markdown(rows, videos), f"own settings:  {line(own)}", f"best settings: {line(best)}"]
    if best.trial == OWN:
        lines.append("No trial beats the run's own settings on the validation videos.")
    else:
        points = 100 * (best.assessment.accuracy - own.assessment.accuracy)
        score = best.assessment.true_score - own.assessment.true_score
        cost = best.assessment.gflops_per_video / own.assessment.gflops_per_video
        lines.append(
            f"On {videos} validation videos that is {points:+.1f} points of accuracy, {score:+.3f} true-"
            f"class score, {cost:.2f} times the GFLOPs. One video is {100 / videos:.1f} points: what was "
            "chosen on few videos has to prove itself on the test split."
        )
    lines += [
        "",
        f"best settings: {folder / BEST_NAME}",
        f"all trials:    {folder / CSV_NAME}",
        f"TensorBoard:   tensorboard --logdir {folder / 'logs'}",
        "next:",
        f"  python -m scsampler_tf.evaluate main --workdir {workdir} --best {folder / BEST_NAME}",
        f"  python -m scsampler_tf.export --workdir {workdir} --best {folder / BEST_NAME}",
    ]
    return "\n".join(lines)

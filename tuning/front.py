"""The Pareto front of accuracy against cost: table, picture, and which of its points is the knee."""

import csv
import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pipelines.files import write_text, written_whole
from scsampler_tf.experiments.knee_rule import knee
from scsampler_tf.report import AUDIO, CHOSEN, INK, VISUAL
from tuning.assess import assess_each
from tuning.rows import Row
from tuning.study import Study
from tuning.tables import cells, columns, values

GREY = "#a3a7ae"


def knee_of(study: Study, front: list[Row]) -> Row:
    """The cheapest point of the front that is as good as its best, by `experiments.knee_rule`."""
    rights = [assess_each(study.data(row.samplers, "val"), row.selection, study.costs)[1] for row in front]
    return front[knee([row.assessment.gflops_per_video for row in front], rights, study.config.seed)]


def write_front(folder: Path, study: Study, front: list[Row], marked: dict[str, Row]) -> None:
    """front.csv, front.md and front.png; `marked` are rows with a name of their own, such as best."""
    kinds = [part.kind for part in study.space.parts]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "trial", *columns(kinds)])
    for number, row in enumerate(front, 1):
        writer.writerow([f"front/{number:02d}.json", row.trial, *values(row, kinds)])
    write_text(folder / "front.csv", text.getvalue())
    write_text(folder / "front.md", as_markdown(study, front, marked))
    write_picture(folder / "front.png", front, marked, study.options.max_gflops)


def as_markdown(study: Study, front: list[Row], marked: dict[str, Row]) -> str:
    """The front as a table, cheapest first."""
    lines = [
        "| File | Trial | Settings | Val accuracy | True-class score | GFLOPs / video | |",
        "|---|---|---|---:|---:|---:|---|",
    ]
    for number, row in enumerate(front, 1):
        names = ", ".join(name for name, other in marked.items() if same(row, other))
        shown = [f"front/{number:02d}.json", *cells(row, study.own), names]
        lines.append(f"| {' | '.join(shown)} |")
    note = (
        f"The Pareto front on {len(study.validation.videos)} validation videos: nothing that was tried is as "
        "cheap and as accurate as one of these and better in one of the two."
    )
    return "\n".join(lines) + f"\n\n{note}\n"


def same(one: Row, other: Row) -> bool:
    """Whether two rows are the same settings with the same samplers."""
    return one.selection == other.selection and one.samplers == other.samplers


def write_picture(path: Path, front: list[Row], marked: dict[str, Row], max_gflops: float | None) -> None:
    """Accuracy against GFLOPs per video: the front as steps, named rows as points."""
    figure = Figure(figsize=(7.4, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    costs = [row.assessment.gflops_per_video for row in front]
    accuracies = [row.assessment.accuracy for row in front]
    axis.step(costs, accuracies, where="post", color=VISUAL, linewidth=1.6, label="Pareto front")
    axis.plot(costs, accuracies, "o", color=VISUAL, markersize=4)
    styles = zip((CHOSEN, AUDIO, INK), ("D", "s", "*"), strict=True)
    for (name, row), (color, marker) in zip(marked.items(), styles, strict=False):
        found = row.assessment
        axis.plot(found.gflops_per_video, found.accuracy, marker, color=color, markersize=8, label=name)
    if max_gflops is not None:
        axis.axvline(max_gflops, color=GREY, linestyle="--", label=f"{max_gflops:g} GFLOPs")
    axis.set_xlabel("GFLOPs per video")
    axis.set_ylabel("accuracy on validation videos")
    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.grid(visible=True, color="#e6e8eb", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.legend(fontsize=8, frameon=False, loc="lower right")
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110)

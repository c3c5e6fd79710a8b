"""Pictures of tables: curves with 95 % bands, bars with 95 % whiskers, histograms."""

from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullLocator, PercentFormatter, ScalarFormatter

from pipelines.files import written_whole
from scsampler_tf.experiments.table import Panel, Series, Table
from scsampler_tf.report import AUDIO, CHOSEN, INK, VISUAL

GREY, SLATE, OCHRE, GREEN, PINK = "#a3a7ae", "#6c7683", "#b98b2d", "#3f8f55", "#c2558f"
BROWN, OLIVE, BLUE = "#8a5a44", "#8b9a3a", "#4a67c9"
TICKS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100)  # of numbers of clips, on a logarithmic axis
CROWDED = 20  # beyond it small numbers of clips are told apart on a logarithmic axis only
# colour, line style, marker
STYLES = {
    "random": (GREY, "-", "o"),
    "uniform": (SLATE, "--", "s"),
    "empirical": (OCHRE, ":", "^"),
    "dense": (INK, "-.", ""),
    "visual": (VISUAL, "-", "o"),
    "audio": (AUDIO, "-", "s"),
    "union_list": (CHOSEN, "-", "D"),
    "oracle": (GREEN, "--", "v"),
    "convex_list": (PINK, "-", "<"),
    "convex_score": (BROWN, "-", ">"),
    "intersect_list": (OLIVE, "-", "P"),
    "joint": (BLUE, "-", "X"),
}
OTHER = (INK, "-", "*")
WIDTH, HEIGHT = 7.4, 4.6


def write_figure(table: Table, path: str | Path) -> Path:
    """All panels of a table beside each other as a PNG, whole or not at all."""
    figure = Figure(figsize=(WIDTH * len(table.panels), HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)
    for axis, panel in zip(
        figure.subplots(1, len(table.panels), squeeze=False)[0], table.panels, strict=True
    ):
        _draw(axis, panel)
    figure.suptitle(table.title, color=INK, fontsize=12, parse_math=False)
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110)
    return Path(path)


def _draw(axis, panel: Panel) -> None:
    {"lines": _lines, "bars": _bars, "steps": _steps}[panel.kind](axis, panel.series)
    axis.set_title(panel.title, color=INK, fontsize=10, parse_math=False)
    along, across = (axis.yaxis, axis.xaxis) if panel.kind == "bars" else (axis.xaxis, axis.yaxis)
    along.set_label_text(panel.x_label)
    across.set_label_text(panel.y_label)
    if panel.percent:
        across.set_major_formatter(PercentFormatter(1.0, decimals=0))
    across.grid(visible=True, color="#e6e8eb", linewidth=0.8)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if panel.kind != "bars":
        legend = axis.legend(
            fontsize=8, frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), borderaxespad=0
        )
        for text in legend.get_texts():
            text.set_parse_math(False)


def _lines(axis, several: list[Series]) -> None:
    longest = max(len(series.x) for series in several)
    for series in several:
        color, style, marker = STYLES.get(series.name, OTHER)
        if len(series.x) == 1 < longest:
            axis.axhline(series.y[0], color=color, linestyle=style, linewidth=1.4, label=series.label)
            continue
        axis.plot(
            series.x,
            series.y,
            color=color,
            linestyle=style,
            marker=marker or "o",
            markersize=4 if longest > 1 else 8,
            linewidth=1.6,
            label=series.label,
        )
        if series.low is not None:
            axis.fill_between(series.x, series.low, series.high, color=color, alpha=0.12, linewidth=0)
    every = [x for series in several for x in series.x]
    if not all(isinstance(x, int) for x in every):
        return
    if max(every) <= CROWDED or min(every) < 1:
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    axis.set_xscale("log")
    axis.set_xticks([tick for tick in TICKS if tick <= max(every)])
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_locator(NullLocator())


def _bars(axis, several: list[Series]) -> None:
    """One bar a series and category, the first on top."""
    labels = []
    for series in several:
        color = STYLES.get(series.name, OTHER)[0]
        for name, value, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
            place = len(labels)
            axis.barh(place, value, color=color, height=0.7)
            whiskers = [[max(0.0, value - low)], [max(0.0, high - value)]]
            axis.errorbar(value, place, xerr=whiskers, color=INK, capsize=3, linewidth=1.1)
            labels.append(name)
    axis.set_yticks(range(len(labels)), labels, parse_math=False)
    axis.set_xlim(left=0)
    axis.invert_yaxis()


def _steps(axis, several: list[Series]) -> None:
    for series in several:
        if series.name == "action":
            axis.stairs(series.y, series.x, color=GREY, alpha=0.35, fill=True, label=series.label)
            continue
        color, style, _ = STYLES.get(series.name, OTHER)
        axis.stairs(series.y, series.x, color=color, linestyle=style, linewidth=1.6, label=series.label)
    axis.set_ylim(bottom=0)
    axis.set_xlim(several[0].x[0], several[0].x[-1])

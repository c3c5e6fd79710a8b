"""The poster's last picture as numbers: where the chosen clips lie, and how well they find the action."""

import numpy as np

from scsampler_tf import selection as choose
from scsampler_tf.aggregate import bootstrap_interval
from scsampler_tf.answers import chosen_clips, fused_scores, saliency_choice
from scsampler_tf.evaluation_set import EvaluationSet, annotated
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import BAND_NOTE, base_notes, steps
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Panel, Section, Series, Table
from scsampler_tf.methods import table_schemes

BINS = 10
COLUMNS = [
    Column("method", "Method"),
    Column("precision", "Precision@K", "percent"),
    Column("recall", "Recall@K", "percent"),
    Column("hit", "Any of K in the action", "percent"),
    Column("average_precision", "Average precision", "percent"),
    Column("average_precision_ci", "95 % interval", "percent"),
]
NOTE = (
    "A clip is in the action if at least half of it lies in a true segment. Precision@K: share of a video's "
    "K chosen clips that are in the action; recall@K: share of its action clips that are chosen; average "
    "precision: mean over its action clips of the precision at that clip in the ranking of all clips, with "
    "stride 1. Means over videos that have such a clip."
)


def position_histogram(chosen: np.ndarray, mask: np.ndarray, bins: int = BINS) -> np.ndarray:
    """Where in their videos chosen clips lie: shares `[bins]` of relative time, every video counting alike.

    chosen, mask: `[V, L]` bool. Clip i of n covers i / n to (i + 1) / n. Zeros without a chosen clip.
    """
    edges, total = np.arange(bins + 1) / bins, np.zeros(bins)
    for picked, valid in zip(chosen, mask, strict=True):
        own = picked[valid].astype("float64")
        if own.any():
            reached = np.concatenate([[0.0], np.cumsum(own / own.sum())])
            total += np.diff(np.interp(edges, np.linspace(0, 1, len(reached)), reached))
    return total / max(total.sum(), np.finfo(float).tiny)


def found_at(order: np.ndarray, in_action: np.ndarray) -> np.ndarray:
    """Which places of the ranked lists hold a clip in the action: bool `[V, L]`.

    order: `[V, L]` clip indices, -1 at the end; in_action: `[V, L]` bool.
    """
    return np.take_along_axis(in_action, np.maximum(order, 0), axis=1) & (order >= 0)


def average_precision(found: np.ndarray) -> np.ndarray:
    """Of ranked lists `[V, L]` that hold all action clips: `[V]` in [0, 1]; NaN for a video without any."""
    places = np.arange(1, found.shape[1] + 1)
    total = np.where(found, np.cumsum(found, axis=1) / places, 0).sum(axis=1)
    count = found.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def at_k(found: np.ndarray, lengths: np.ndarray, K: int) -> dict[str, np.ndarray]:
    """Precision, recall and hit `[V]` of the first K of ranked lists `[V, L]`; lengths: clips of a video."""
    hits = found[:, :K].sum(axis=1)
    return {
        "precision": hits / np.minimum(K, lengths),
        "recall": hits / np.maximum(found.sum(axis=1), 1),
        "hit": (hits > 0).astype(float),
    }


def orders(run: Run, data: EvaluationSet) -> dict[str, list[np.ndarray]]:
    """Ranked lists `[V, L]` of every method, one a draw for random."""
    longest = data.mask.shape[1]
    seeds = range(run.config.seed, run.config.seed + run.draws)
    found = {"random": [choose.random_clips(data.mask, longest, seed) for seed in seeds]}
    for name in table_schemes(data, run.selection.fusion):
        scores = fused_scores(data, data.mask, run.selection, name)
        found[name] = [np.asarray(choose.top_k(scores, data.mask, longest))]
    oracle = choose.oracle_clips(data.probabilities, data.labels, data.mask, longest)
    return {**found, "oracle": [np.asarray(oracle)]}


def localised(run: Run, data: EvaluationSet) -> tuple[list[dict], list[Panel]]:
    """Rows and curves of precision and recall on annotated videos that have a clip in the action."""
    there = data.in_action.any(axis=1)
    lengths, K = data.mask.sum(axis=1)[there], run.selection.K
    Ks = steps(min(data.mask.shape[1], 100), K)
    rows, curves = [], {"precision": [], "recall": []}
    for name, draws in orders(run, data).items():
        found = [found_at(order, data.in_action)[there] for order in draws]
        values = {
            key: np.mean([at_k(each, lengths, K)[key] for each in found])
            for key in ("precision", "recall", "hit")
        }
        precise = np.mean([average_precision(each) for each in found], axis=0)
        rows.append(
            {
                "name": name,
                "method": TITLES[name],
                **{key: float(value) for key, value in values.items()},
                "average_precision": float(precise.mean()),
                "average_precision_ci": list(bootstrap_interval(precise, run.config.seed)),
            }
        )
        for key, series in curves.items():
            several = [np.mean([at_k(each, lengths, k)[key] for each in found], axis=0) for k in Ks]
            ends = [bootstrap_interval(each, run.config.seed, samples=500) for each in several]
            low, high = (list(end) for end in zip(*ends, strict=True))
            series.append(Series(name, TITLES[name], Ks, [float(each.mean()) for each in several], low, high))
    panels = [
        Panel(f"{key}@K", "K, clips chosen per video", f"{key} (mean over videos)", series)
        for key, series in curves.items()
    ]
    return rows, panels


def positions(run: Run, marked: EvaluationSet | None) -> dict[str, np.ndarray]:
    """Histograms `[BINS]` of what SCSampler and the oracle choose, and of the action."""
    data, selection = run.data, run.selection
    chosen = {name: saliency_choice(data, selection, name) for name in table_schemes(data, selection.fusion)}
    chosen["oracle"] = choose.oracle_clips(data.probabilities, data.labels, data.mask, selection.K)
    found = {
        name: position_histogram(chosen_clips(data, indices), data.mask) for name, indices in chosen.items()
    }
    return found if marked is None else {**found, "action": position_histogram(marked.in_action, marked.mask)}


def table(run: Run) -> Table:
    """The poster's localisation on the run's data; without true segments only where chosen clips lie."""
    if run.data.visual is None and run.data.audio is None:
        run.need("localisation", "visual")
    marked = annotated(run.data, run.index.settings.span)
    if marked is not None and not marked.in_action.any():
        marked = None
    histograms, names = positions(run, marked), {**TITLES, "action": "True segments"}
    columns = [Column("from", "From", "percent"), Column("to", "To", "percent")]
    columns += [Column(name, names[name], "percent") for name in histograms]
    edges = [edge / BINS for edge in range(BINS + 1)]
    rows = [
        {
            "from": edges[b],
            "to": edges[b + 1],
            **{name: float(values[b]) for name, values in histograms.items()},
        }
        for b in range(BINS)
    ]
    steps_ = [Series(name, names[name], edges, values.tolist()) for name, values in histograms.items()]
    title, where = "Share of the chosen clips by place in the video", "place in the video (0 start, 1 end)"
    sections, panels = (
        [Section(title, columns, rows)],
        [Panel("", where, "share of chosen clips", steps_, "steps")],
    )
    about = run.about()
    notes = base_notes(about["used"], about["config"]["selection"])
    if marked is None:
        notes.append(
            "No video has a clip in a true segment, so precision and recall are not known; a column "
            "action_segments in the manifest (start-end in seconds) gives them."
        )
    else:
        found, curves = localised(run, marked)
        sections, panels = [Section("Finding the action", COLUMNS, found), *sections], [*panels, *curves]
        count = int(marked.in_action.any(axis=1).sum())
        notes += [f"{count} of {len(run.data.videos)} videos have clips in true segments. {NOTE}", BAND_NOTE]
    return Table(
        "localisation",
        f"Where the chosen clips lie, K={run.selection.K}",
        sections,
        panels,
        notes,
        [],
        **about,
    )

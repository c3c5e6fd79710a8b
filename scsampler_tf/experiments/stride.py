"""Figures 5 and 6 of the paper: scoring only every N-th clip, and accuracy against cost."""

import dataclasses

import numpy as np

from scsampler_tf.cost import GIGA
from scsampler_tf.experiments import published
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import ACCURACY, BAND_NOTE, base_notes, curve, steps
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Panel, Section, Table
from scsampler_tf.methods import table_schemes

COLUMNS = [
    Column("stride", "N", "integer"),
    Column("scored_clips", "Clips scored / video", "tenths"),
    Column("accuracy", "SCSampler", "percent"),
    Column("accuracy_ci", "95 % interval", "percent"),
    Column("gflops_per_video", "GFLOPs / video", "hundredths"),
    Column("same_cost_K", "K at that cost", "integer"),
    Column("random", "Random", "percent"),
    Column("uniform", "Uniform", "percent"),
]


def scheme_of(run: Run) -> str:
    """The run's fusion scheme, or the one sampler that there is."""
    schemes = table_schemes(run.data, run.selection.fusion)
    if not schemes:
        run.need("stride", "visual")
    return run.selection.fusion if run.selection.fusion in schemes else schemes[-1]


def affordable_k(lengths: np.ndarray, clip_gflops: float, budget: float) -> int:
    """The most clips that fit: the largest K from 1 to the longest of `lengths` `[V]` with a mean cost of
    min(K, length) clips, `clip_gflops` each, within `budget` GFLOPs a video."""
    Ks = np.arange(1, int(lengths.max()) + 1)
    costs = [np.minimum(lengths, K).mean() * clip_gflops for K in Ks]
    # Sums in another order may differ in the last digits.
    return max(1, int(np.searchsorted(costs, budget * (1 + 1e-9), side="right")))


def table(run: Run) -> Table:
    """Figures 5 and 6 on the run's data, for N from 1 to half of the longest video, at most 30."""
    bench, name = run.bench, scheme_of(run)
    strides = steps(min(30, max(1, run.longest // 2)), run.selection.stride)
    ours = [bench.scheme(name, dataclasses.replace(run.selection, stride=N)) for N in strides]
    lengths, clip_gflops = run.data.mask.sum(axis=1), run.costs.classifier / GIGA
    same = [affordable_k(lengths, clip_gflops, row.gflops_per_video) for row in ours]
    Ks = sorted({*same, *steps(max(same))})
    others = {kind: {K: getattr(bench, kind)(K) for K in Ks} for kind in ("random", "uniform")}
    rows = [
        {
            "stride": N,
            "scored_clips": float(np.ceil(lengths / N).mean()),
            "accuracy": row.accuracy,
            "accuracy_ci": list(row.accuracy_ci),
            "gflops_per_video": row.gflops_per_video,
            "same_cost_K": K,
            **{kind: at[K].accuracy for kind, at in others.items()},
        }
        for N, row, K in zip(strides, ours, same, strict=True)
    ]
    dense = bench.dense()
    by_stride = [curve(name, strides, ours), curve("dense", [strides[-1]], [dense])]
    by_cost = [curve(name, [row.gflops_per_video for row in ours], ours)]
    for kind, at in others.items():
        by_cost.append(curve(kind, [row.gflops_per_video for row in at.values()], list(at.values())))
    about = run.about()
    return Table(
        name="stride",
        title=f"Scoring every N-th clip, {TITLES[name]}, K={run.selection.K}",
        sections=[Section("By N", COLUMNS, rows)],
        panels=[
            Panel("figure 5", "N, every N-th clip is scored", ACCURACY, by_stride),
            Panel("figure 6", "GFLOPs per video (1e9 multiply-adds)", ACCURACY, by_cost),
        ],
        notes=[
            *base_notes(about["used"], about["config"]["selection"]),
            f"Dense: {dense.accuracy:.1%} at {dense.gflops_per_video:.2f} GFLOPs a video. Random and uniform "
            "classify the most clips that SCSampler's cost pays for; where a video has fewer scored clips "
            "than K, SCSampler classifies those.",
            BAND_NOTE,
        ],
        published=[published.figure(5), published.figure(6)],
        **about,
    )

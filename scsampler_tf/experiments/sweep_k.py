"""Figure 2 of the paper: accuracy against the number K of classified clips."""

import dataclasses

from scsampler_tf.experiments import published
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import ACCURACY, BAND_NOTE, base_notes, curve, steps, with_k
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Panel, Section, Table
from scsampler_tf.methods import Bench, Result, table_schemes


def results_at(run: Run, bench: Bench, K: int) -> dict[str, Result | None]:
    """Every method's row for one K."""
    config = dataclasses.replace(run.selection, **with_k(run.selection, K))
    return {
        "random": bench.random(K),
        "uniform": bench.uniform(K),
        "empirical": bench.empirical(K),
        **{name: bench.scheme(name, config) for name in table_schemes(run.data, config.fusion)},
        "oracle": bench.oracle(K),
    }


def table(run: Run) -> Table:
    """Figure 2 on the run's data, for K from 1 to the longest video's clips, at most 100."""
    bench, Ks = run.bench, steps(min(run.longest, 100), run.selection.K, run.longest)
    at = {K: results_at(run, bench, K) for K in Ks}
    names = [name for name, row in at[Ks[0]].items() if row is not None]
    dense = bench.dense()
    rows = [{"K": K, **{name: at[K][name].accuracy for name in names}, "dense": dense.accuracy} for K in Ks]
    columns = [Column("K", "K", "integer")]
    columns += [Column(name, TITLES[name], "percent") for name in (*names, "dense")]
    series = [curve(name, Ks, [at[K][name] for K in Ks]) for name in names]
    series.append(curve("dense", [Ks[-1]], [dense]))
    about = run.about()
    return Table(
        name="sweep-k",
        title="Accuracy against the number of classified clips",
        sections=[Section("Accuracy by K", columns, rows)],
        panels=[Panel("", "K, clips classified per video", ACCURACY, series)],
        notes=[
            *base_notes(about["used"], about["config"]["selection"]),
            "K' of AV-union-list keeps the run's share of K. Videos shorter than K are classified whole; "
            "with K of the longest video every method is dense.",
            BAND_NOTE,
        ],
        published=[published.figure(2)],
        **about,
    )

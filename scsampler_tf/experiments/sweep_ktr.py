"""Figure 3 of the paper: the share of a video's clips that SAL-CL calls salient."""

import dataclasses

from scsampler_tf.experiments import published
from scsampler_tf.experiments.rows import ACCURACY, curve
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Panel, Table
from scsampler_tf.experiments.variant_rows import planned_rows, row_results, scored, variant_table
from scsampler_tf.variant_plan import FRACTIONS, variants_of

NAME = "sweep-ktr"
NOTE = (
    "L is the number of clips that training draws from a video (clips_per_video), and K_tr at least 1, so "
    "small shares of few clips come to the same. Comparisons are with the smallest share."
)


def table(run: Run) -> Table:
    """Figure 3 on the run's data. Raises `UserError` that names the samplers without scores."""
    rows = planned_rows(run, NAME)
    results = row_results(run, rows, scored(run, NAME, variants_of(rows)))
    groups = dict.fromkeys(row.group for row in rows)
    series = [
        curve(group, list(FRACTIONS), [results[row.key] for row in rows if row.group == group])
        for group in groups
    ]
    dense = dataclasses.replace(curve("dense", [FRACTIONS[-1]], [run.bench.dense()]), low=None, high=None)
    panel = Panel("", "K_tr / L, share of clips called salient", ACCURACY, [*series, dense])
    return variant_table(
        run,
        NAME,
        f"SAL-CL against K_tr, K={run.selection.K}",
        rows,
        published.figure(3),
        [NOTE],
        [panel],
    )

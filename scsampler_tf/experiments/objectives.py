"""Table 4 of the paper: the three learning objectives."""

from scsampler_tf.experiments import published
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table
from scsampler_tf.experiments.variant_rows import planned_rows, variant_table

NAME = "objectives"
NOTE = (
    "Only the objective differs between the samplers of a kind; margin, K_tr and the course of training are "
    "the run's. Comparisons are with AC."
)


def table(run: Run) -> Table:
    """Table 4 on the run's data. Raises `UserError` that names the samplers without scores."""
    return variant_table(
        run,
        NAME,
        f"Learning objectives, K={run.selection.K}",
        planned_rows(run, NAME),
        published.objectives(),
        [NOTE],
    )

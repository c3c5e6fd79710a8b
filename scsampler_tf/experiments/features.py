"""Table 5 of the paper: what the visual sampler sees (I-frames, motion, residuals) and with which network."""

from scsampler_tf.experiments import published
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table
from scsampler_tf.experiments.variant_rows import planned_rows, variant_table

NAME = "features"
NOTE = (
    "Objective and course of training are the run's, for ShuffleNet too, which begins at random where the "
    "run's networks begin with weights. Single features are compared with the I-frame, sums with MD + RGB-R."
)


def table(run: Run) -> Table:
    """Table 5 on the run's data. Raises `UserError` that names the samplers without scores."""
    return variant_table(
        run,
        NAME,
        f"Features and networks of the visual sampler, K={run.selection.K}",
        planned_rows(run, NAME),
        published.features(),
        [NOTE],
    )

"""Table 6 of the paper: the audio network fine-tuned, and a class layer on its frozen activations."""

from pipelines.errors import UserError
from scsampler_tf.experiments import published
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table
from scsampler_tf.experiments.variant_rows import planned_rows, variant_table
from scsampler_tf.variant_plan import audio_source

NAME = "audio"
NOTE = "All are trained with SAL-RANK and compared with the network fine-tuned as a whole."
GIVEN_NOTE = "All begin with the weights that the run's audio sampler begins with."
OWN_NOTE = (
    "The run gives no weights (audio.weights), so all begin with those of the same network trained for the "
    "classes of the run's own train videos (AC); the paper's is trained for classification on AudioSet."
)


def table(run: Run) -> Table:
    """Table 6 on the run's data. Raises `UserError` without sound and for samplers without scores."""
    rows = planned_rows(run, NAME)
    if not rows:
        raise UserError("audio: no train video of this run has sound, so it has no audio sampler to compare")
    return variant_table(
        run,
        NAME,
        f"The audio sampler, K={run.selection.K}",
        rows,
        published.audio(),
        [NOTE, OWN_NOTE if audio_source(run.config) else GIVEN_NOTE],
    )

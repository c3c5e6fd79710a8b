"""Which tables there are. A new one is a module here with `table(run) -> Table` and a line in `TABLES`."""

import importlib

from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table

# name on the command line: module of this package, what it is
TABLES = {
    "main": ("main", "tables 1 and 2: baselines, SCSampler and oracle"),
    "transfer": ("transfer", "table 3: samplers of other runs"),
    "objectives": ("objectives", "table 4: learning objectives"),
    "features": ("features", "table 5: features and networks of the visual sampler"),
    "audio": ("audio", "table 6: how the audio sampler is fine-tuned"),
    "combinations": ("combinations", "table 7: ways of combining the visual and the audio sampler"),
    "sweep-k": ("sweep_k", "figure 2: accuracy against K"),
    "sweep-ktr": ("sweep_ktr", "figure 3: the share of clips that SAL-CL calls salient"),
    "sweep-kprime": ("sweep_kprime", "figure 4: AV-union-list against K'"),
    "stride": ("stride", "figures 5 and 6: every N-th clip scored, accuracy against cost"),
    "knee": ("knee", "what the visual sampler costs: residual size, P-frames, MD alone, width"),
    "localisation": ("localisation", "the poster: where the chosen clips lie, precision and recall"),
    "beyond": (
        "beyond",
        "beyond the paper: redundant clips avoided, K chosen per video, saliency-weighted mean",
    ),
}


def make(name: str, run: Run) -> Table:
    """One table. Raises `UserError` that names what is missing if the run does not allow it."""
    module, _ = TABLES[name]
    # Modules of tables load Keras, which the command's own start does not need.
    return importlib.import_module(f"scsampler_tf.experiments.{module}").table(run)

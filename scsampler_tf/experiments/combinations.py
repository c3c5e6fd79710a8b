"""Table 7 of the paper: the ways of combining the visual and the audio sampler."""

from scsampler_tf.experiments import published
from scsampler_tf.experiments.names import TITLES, TITLES_TRAINED_JOINTLY
from scsampler_tf.experiments.rows import (
    BAND_NOTE,
    COMPARISON_NOTE,
    accuracy_bars,
    base_notes,
    comparison_section,
    comparisons,
    cost_points,
    method_section,
    time_note,
)
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Table

ORDER = ("convex_list", "convex_score", "union_list", "intersect_list", "joint", "visual", "audio")
JOINT_NOTE = (
    "AV-joint is the mean of both scores; the paper's AV-joint-training fine-tunes all networks with "
    "respect to that mean, and this run has no scores of such networks."
)


def table(run: Run) -> Table:
    """Table 7 on the run's data. Raises `UserError` unless both samplers have been scored."""
    run.need("combinations", "visual", "audio")
    bench, selection = run.bench, run.selection
    rows = {name: bench.scheme(name, selection) for name in ORDER}
    K = selection.K
    rows |= {"random": bench.random(K), "uniform": bench.uniform(K), "dense": bench.dense()}
    together = run.together()
    names = TITLES_TRAINED_JOINTLY if together else TITLES
    if together:
        rows["joint"] = together.bench.scheme("joint", selection)
    plain = {name: row.to_dict() for name, row in rows.items()}
    about = run.about()
    if together:
        about["used"]["joint_networks"] = together.used["networks"]
    notes = base_notes(about["used"], about["config"]["selection"])
    if not run.data.has_audio.any():
        notes.append("No video has sound that was scored, so every combination is the visual sampler.")
    return Table(
        name="combinations",
        title=f"Ways of combining the visual and the audio sampler, K={K}",
        sections=[
            method_section(plain, "Methods", names),
            comparison_section(comparisons(rows, run.config.seed, names)),
        ],
        panels=[accuracy_bars(plain, names), cost_points(plain, names)],
        notes=[
            *notes,
            *([] if together else [JOINT_NOTE]),
            time_note(about["used"]),
            COMPARISON_NOTE,
            BAND_NOTE,
        ],
        published=[published.combinations()],
        **about,
    )

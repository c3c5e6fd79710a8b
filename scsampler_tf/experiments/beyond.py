"""Beyond the paper: redundant clips avoided, K chosen per video, the mean weighted; each against plain."""

import dataclasses

import numpy as np

from scsampler_tf.adaptive import Tuned, tuned
from scsampler_tf.answers import saliency_choice
from scsampler_tf.config import SelectionConfig
from scsampler_tf.experiments.names import TITLES
from scsampler_tf.experiments.rows import (
    ACCURACY,
    BAND_NOTE,
    COMPARISON_NOTE,
    accuracy_bars,
    base_notes,
    curve,
    method_section,
    steps,
    time_note,
    with_k,
)
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.stride import scheme_of
from scsampler_tf.experiments.table import Panel, Table
from scsampler_tf.experiments.variant_rows import comparison
from scsampler_tf.selection import gather_clips
from scsampler_tf.selection_config import seer

GAPS = (2, 3)
DIVERSITIES = (0.25, 0.5)
MARGINS = (0.3, 0.6, 0.9)
TEMPERATURES = (0.05, 0.2, 1.0)
LOSSES = (0.0, 0.02)  # of accuracy on validation videos, for which a margin is tuned
CURVE = tuple(step / 20 for step in range(1, 21))
OFF = {"nms_gap": 0, "diversity": 0.0, "stop_margin": 0.0, "stop_least": 1, "temperature": 0.0}
TUNE_SPLIT = "val"
NOTE = (
    "One option at a time, all else as in the first row. Apart: greedy non-maximum suppression along time. "
    "Diverse: greedy marginal relevance, (1 - d) saliency - d likeness to the clips taken before. "
    "Stops: clips are classified by saliency, at most K, until the best class of their running mean leads "
    "the second by the margin. Weighted: the video's answer is the mean with weights softmax(saliency / "
    "temperature). Values of fixed size were not chosen on any data; the best of "
    "them on this split has yet to prove itself on another."
)


def options(
    plain: SelectionConfig, margins: dict[float, float], compared: bool
) -> dict[str, tuple[str, SelectionConfig]]:
    """Row names, what follows the scheme in their titles, and settings: one option each.

    margins: tuned margin by the accuracy that might be lost. compared: there are activations.
    """
    changes = {f"apart-{gap}": (f"{gap} clips apart", {"nms_gap": gap}) for gap in GAPS}
    if compared:
        changes |= {f"diverse-{d:g}": (f"diverse by {d:g}", {"diversity": d}) for d in DIVERSITIES}
    changes |= {f"stop-{m:g}": (f"stops at {m:g}", {"stop_margin": m}) for m in MARGINS}
    for loss, margin in margins.items():
        title = f"stops at {margin:g}, tuned to lose {100 * loss:g} points"
        changes[f"stop-tuned-{loss:g}"] = (title, {"stop_margin": margin})
    changes |= {f"weighted-{t:g}": (f"weighted at {t:g}", {"temperature": t}) for t in TEMPERATURES}
    return {name: (title, dataclasses.replace(plain, **values)) for name, (title, values) in changes.items()}


def tuned_margins(run: Run, plain: SelectionConfig, scheme: str) -> dict[float, Tuned]:
    """What tuning on the validation videos finds for every loss; empty without scored ones."""
    data = run.of_split(TUNE_SPLIT)
    if data is None:
        return {}
    indices = saliency_choice(data, plain, scheme)
    probabilities = np.asarray(gather_clips(data.probabilities, indices))
    return {loss: tuned(probabilities, indices >= 0, data.labels, tolerance=loss) for loss in LOSSES}


def tuning_notes(run: Run, found: dict[float, Tuned]) -> list[str]:
    """How the tuned margins came about, or why there are none."""
    if not found:
        return [f"No margin is tuned: no video of split {TUNE_SPLIT} has scores."]
    notes = []
    for loss, each in found.items():
        what = f"for {100 * loss:g} points that may be lost"
        if each.rule is None:
            notes.append(f"No row {what}: on split {TUNE_SPLIT} no margin needs fewer clips.")
            continue
        notes.append(
            f"Margin {each.rule.margin:g}, tuned on split {TUNE_SPLIT} {what}: accuracy {each.accuracy:.1%} "
            f"with {each.clips_per_video:.1f} clips a video there, {each.full_accuracy:.1%} with "
            f"{each.full_clips_per_video:.1f}."
        )
    if run.split == TUNE_SPLIT:
        notes.append("They are tuned on the very videos of this table, so their rows promise too much.")
    return notes


def diversity_note(run: Run) -> str:
    """By what clips are compared, or how to have it."""
    if run.data.features is None:
        return (
            "No rows for diversity: there are no activations to compare clips by; make them with python -m "
            f"scsampler_tf.score activations --workdir {run.workdir.path}"
        )
    return (
        f"Clips are compared by the activations of the sampler {seer(run.costs.samplers)} before its class "
        "layer, the mean over the clip's frames."
    )


def cost_curves(run: Run, plain: SelectionConfig, scheme: str) -> Panel:
    """Accuracy against cost: K chosen per video by ever larger margins, and the same K for all."""
    bench = run.bench
    Ks = steps(min(plain.K, run.longest), plain.K)
    same = [bench.scheme(scheme, dataclasses.replace(plain, **with_k(plain, K))) for K in Ks]
    each = [bench.scheme(scheme, dataclasses.replace(plain, stop_margin=margin)) for margin in CURVE]
    series = [
        curve(name, [row.gflops_per_video for row in rows], rows, label)
        for name, rows, label in (
            (scheme, same, f"{TITLES[scheme]}, K from 1 to {Ks[-1]}"),
            ("stopping", each, f"{TITLES[scheme]}, K={plain.K}, stops at {CURVE[0]:g} to {CURVE[-1]:g}"),
        )
    ]
    dense = bench.dense()
    series.append(curve("dense", [dense.gflops_per_video], [dense]))
    return Panel("clips that a video needs", "GFLOPs per video (1e9 multiply-adds)", ACCURACY, series)


def table(run: Run) -> Table:
    """Every option alone on the run's data, compared with the run's scheme without any."""
    if run.data.visual is None and run.data.audio is None:
        run.need("beyond", "visual")
    scheme, plain = scheme_of(run), dataclasses.replace(run.selection, **OFF)
    found = tuned_margins(run, plain, scheme)
    margins = {loss: each.rule.margin for loss, each in found.items() if each.rule is not None}
    made = options(plain, margins, run.data.features is not None)
    if plain != run.selection:
        made["own"] = ("the run's own settings", run.selection)
    bench = run.bench
    rows = {scheme: bench.scheme(scheme, plain)}
    rows |= {name: bench.scheme(scheme, config) for name, (_, config) in made.items()}
    names = {**TITLES, **{name: f"{TITLES[scheme]}, {title}" for name, (title, _) in made.items()}}
    values = {name: row.to_dict() for name, row in {**rows, "dense": bench.dense()}.items()}
    about = run.about()
    about["used"]["tuned"] = {f"{loss:g}": dataclasses.asdict(each) for loss, each in found.items()}
    return Table(
        name="beyond",
        title=f"Beyond the paper, {TITLES[scheme]}, K={plain.K}",
        sections=[
            method_section(values, "Methods", names),
            comparison([(name, scheme) for name in made], rows, names, run.config.seed),
        ],
        panels=[accuracy_bars(values, names), cost_curves(run, plain, scheme)],
        notes=[
            *base_notes(about["used"], about["used"]["selection"]),
            NOTE,
            diversity_note(run),
            *tuning_notes(run, found),
            time_note(about["used"]),
            COMPARISON_NOTE,
            BAND_NOTE,
        ],
        **about,
    )

"""What a search says: what it is about to do, and what came of it."""

from pathlib import Path

from tuning import held_out
from tuning.options import Options
from tuning.pruning import is_complete
from tuning.rows import OWN, Explored, Report
from tuning.study import Study
from tuning.tables import as_markdown, line


def opening(study: Study, done: int, options: Options) -> str:
    """What a search is about to do."""
    free, kinds = study.free, [part.kind for part in study.space.parts]
    trained = (
        f"trained: {', '.join(kinds)}; {study.space.size()} sets of hyperparameters"
        if kinds
        else "trained: none"
    )
    return (
        f"{len(study.validation.videos)} validation videos\n"
        f"{trained}\n"
        f"free: {len(study.settings)} settings a trial ({', '.join(free.schemes)}; "
        f"K {', '.join(map(str, free.clips))}; stride {', '.join(map(str, free.strides))})\n"
        f"{done} of {options.max_trials} trials are done"
    )


def note(study: Study, found: list[Explored], failed: int, left_out: int = 0) -> str:
    """What the numbers of a table stand on."""
    mixes = sum(each.trial.startswith("mix") for each in found)
    settings = sum(len(each.settings) for each in found)
    more = f", {mixes} more sets of samplers from these" if mixes else ""
    broken = f", {failed} whose training diverged" if failed else ""
    if left_out:
        broken += f", {left_out} more sets not tried because the minutes were over"
    return (
        f"{len(found) - mixes} trials{more}{broken}: {settings} settings on "
        f"{len(study.validation.videos)} validation videos; '{OWN}' are the run's own. Ranked by "
        f"{study.options.objective}; GFLOPs are 1e9 multiply-adds, samplers plus classifier."
    )


def summary(study: Study, report: Report, looked: dict | None, folder: Path) -> str:
    """How the best compares with the run's own settings, where everything lies, what to do next."""
    videos, workdir = len(study.validation.videos), study.workdir.path
    named = (("own", report.rows[0]), ("best", report.best), ("knee", report.knee))
    lines = ["", as_markdown(report.rows, study.own, report.text)]
    lines += [f"{name:5} {line(row, study.own)}" for name, row in named]
    lines.append(
        f"{len(report.front)} points on the Pareto front. One video is {100 / videos:.1f} points: what was "
        f"chosen on {videos} videos has to prove itself on others."
    )
    if looked is not None:
        lines += ["", held_out.as_markdown(looked)]
    elif study.options.test:
        lines.append("No test videos are scored; nothing was looked at beside the validation videos.")
    lines += [
        "",
        f"best settings: {folder / 'best.json'}",
        f"cheapest that are as good: {folder / 'knee.json'}",
        f"Pareto front:  {folder / 'front.md'}, {folder / 'front.png'}, {folder / 'front'}",
        f"all trials:    {folder / 'trials.csv'}",
        f"TensorBoard:   tensorboard --logdir {folder / 'logs'}",
        *_not_kept(study, report, folder),
        "next:",
        f"  python -m scsampler_tf.evaluate main --workdir {workdir} --config {folder / 'best.json'}",
        f"  python -m scsampler_tf.export --workdir {workdir} --config {folder / 'best.json'}",
        f"  python -m scsampler_tf.predict VIDEO --workdir {workdir} --config {folder / 'best.json'}",
    ]
    return "\n".join(lines)


def _not_kept(study: Study, report: Report, folder: Path) -> list[str]:
    """How to get networks that an earlier run of the search has let go and these settings need."""
    lines = []
    for name, row in (("best", report.best), ("knee", report.knee)):
        if not is_complete(study, row):
            path = folder / f"{name}.json"
            lines.append(f"of a network of {name} only the scores were kept; before export and predict:")
            lines.append(f"  python -m tuning.search --workdir {study.workdir.path} --restore {path}")
    return lines

"""Figure 4 of the paper: accuracy of AV-union-list against K', the visual sampler's share of K."""

import dataclasses

from scsampler_tf.experiments import published
from scsampler_tf.experiments.rows import ACCURACY, BAND_NOTE, base_notes, curve
from scsampler_tf.experiments.run import Run
from scsampler_tf.experiments.table import Column, Panel, Section, Table


def table(run: Run) -> Table:
    """Figure 4 on the run's data, K' from 0 to K. Raises `UserError` unless both samplers were scored."""
    run.need("sweep-kprime", "visual", "audio")
    bench, selection = run.bench, run.selection
    shares = list(range(selection.K + 1))
    union = [
        bench.scheme("union_list", dataclasses.replace(selection, K_prime=K_prime)) for K_prime in shares
    ]
    levels = {name: bench.scheme(name, selection) for name in ("visual", "audio")}
    levels["dense"] = bench.dense()
    columns = [
        Column("K_prime", "K'", "integer"),
        Column("accuracy", "SCSampler, AV-union-list", "percent"),
        Column("accuracy_ci", "95 % interval", "percent"),
    ]
    rows = [
        {"K_prime": K_prime, "accuracy": row.accuracy, "accuracy_ci": list(row.accuracy_ci)}
        for K_prime, row in zip(shares, union, strict=True)
    ]
    series = [curve("union_list", shares, union)]
    series += [curve(name, [0], [row]) for name, row in levels.items()]
    about = run.about()
    return Table(
        name="sweep-kprime",
        title=f"AV-union-list against K', K={selection.K}",
        sections=[Section("Accuracy by K'", columns, rows)],
        panels=[Panel("", "K', clips chosen by the visual sampler", ACCURACY, series)],
        notes=[
            *base_notes(about["used"], about["config"]["selection"]),
            "K'=0 is the audio sampler alone, K'=K the visual one.",
            BAND_NOTE,
        ],
        published=[published.figure(4)],
        **about,
    )

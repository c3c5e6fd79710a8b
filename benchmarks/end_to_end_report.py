"""The figures of `benchmarks.end_to_end` as Markdown."""

from collections.abc import Iterator

from benchmarks.markdown import cell, header, table

HEADS = {
    "features": "features",
    "sampling": "sampling networks",
    "decoding": "seeking, decoding",
    "classifying": "classifying",
}


def report(found: dict) -> str:
    """All of them: seconds and their parts, the speed-up by length, what limits it."""
    lines = [header(found["machine"]), "", *_load(found), ""]
    for own in found["classifiers"]:
        lines += [*_about(own), "", *_seconds(own), *_scaled(own)]
    lines += ["Times faster than dense evaluation:", "", *_growth(found), *_limits(found)]
    return "\n".join(lines).rstrip()


def _load(found: dict) -> list[str]:
    if found["load"] is None:
        return ["This system doesn't tell its load."]
    before, after = found["load"]
    told = [f"Load of the machine (mean of a minute): {before:.1f} before, {after:.1f} after."]
    if found["busy"]:
        told.append("WARNING: others used the machine, so these seconds are not what an idle one takes.")
    return told


def _about(own: dict) -> Iterator[str]:
    yield f"{own['classifier']} classifier: {own['network']}, {own['gflops']:.4g} G multiply-adds a clip"
    for name, samplers in own["samplers"].items():
        told = (
            f"{kind} {each['network']} ({each['inputs']} a clip, {each['gflops']:.3g} G each)"
            for kind, each in samplers.items()
        )
        yield f"- {name}: {'; '.join(told)}"


def _seconds(own: dict) -> list[str]:
    columns = ["file", "method", "clips", "classified", "s", *(f"{head}, s" for head in HEADS.values())]
    columns += [
        "classifier, ms a clip",
        "processor s",
        "G multiply-adds",
        "times faster",
        "times less processor time",
    ]
    return table(
        columns,
        [
            [row["file"], row["method"], str(row["clips"]), _classified(row), cell(row["seconds"])]
            + [_part(row["parts"][part]) for part in HEADS]
            + [cell(1000 * row["parts"]["classifying"] / row["classified"])]
            + [cell(row["processor_s"]), cell(row["gflops"])]
            + [f"{row['times_faster']:.2f}", f"{row['times_less_processor']:.2f}"]
            for row in own["rows"]
        ],
    )


def _part(seconds: float) -> str:
    return cell(seconds) if seconds else "-"


def _classified(row: dict) -> str:
    return f"{row['classified']}*" if row["measured"] < row["classified"] else str(row["classified"])


def _scaled(own: dict) -> list[str]:
    counts = sorted({row["measured"] for row in own["rows"] if row["measured"] < row["classified"]})
    if not counts:
        return []
    told = " or ".join(map(str, counts))
    return [
        f"(*) Every frame was decoded, but only {told} clips spread over the video were classified; "
        "the time for that is scaled to all clips.",
        "",
    ]


def _growth(found: dict) -> list[str]:
    files = list(dict.fromkeys(row["file"] for own in found["classifiers"] for row in own["rows"]))
    rows = []
    for own in found["classifiers"]:
        for name in dict.fromkeys(row["method"] for row in own["rows"]):
            faster = {row["file"]: row["times_faster"] for row in own["rows"] if row["method"] == name}
            rows.append([own["classifier"], name, *(f"{faster[file]:.2f}" for file in files)])
    return table(["classifier", "method", *files], [row for row in rows if row[1] != "dense"])


def _limits(found: dict) -> list[str]:
    """What would be left of the time, on the file where the speed-up is the largest."""
    lines = ["What limits it:", ""]
    for own in found["classifiers"]:
        for name in own["samplers"]:
            row = max(
                (row for row in own["rows"] if row["method"] == name), key=lambda each: each["times_faster"]
            )
            lines.append(f"- {own['classifier']}, {name}, {row['file']}: {_limit(own, row)}")
    return [*lines, ""]


def _limit(own: dict, row: dict) -> str:
    most = next(
        each for each in own["limits"] if (each["file"], each["method"]) == (row["file"], row["method"])
    )
    alone = next(each for each in own["alone"] if each["method"] == row["method"])
    shares = ", ".join(f"{HEADS[part]} {row['parts'][part] / row['seconds']:.0%}" for part in HEADS)
    return (
        f"{shares} of the time. {row['times_faster']:.1f} times faster than dense; {most['endless']:.1f} at "
        f"most however long the video; {most['free_features']:.1f} if features took no time, "
        f"{most['free_sampling']:.1f} if the sampling networks took none. Features alone are read at "
        f"{alone['times_real_time']:.0f} times real time ({alone['file']}, motion: {alone['policy']})."
    )

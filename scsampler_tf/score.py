"""Writes score tables: every network on every clip of every video, once.

    python -m scsampler_tf.score all --workdir runs/mine
    python -m scsampler_tf.score activations --workdir runs/mine    # for selection.diversity

Everything later (tables, sweeps, searches) is arithmetic on these tables. A killed run goes on where it
stopped; a table that was made by the same network is left as it is.
"""

import argparse
import dataclasses
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pipelines.decoding import decode_all
from pipelines.errors import UserError, run_command
from pipelines.files import file_digest
from pipelines.index import FeatureIndex, VideoRecord, require_same
from pipelines.policy import unseen
from scsampler_tf.config import SAMPLER_KINDS, SAMPLERS, ExperimentConfig
from scsampler_tf.selection_config import ACTIVATIONS, SEERS, seer
from scsampler_tf.tables import ScoreTable, load_table, save_table
from scsampler_tf.train import add_run_arguments, run_config
from scsampler_tf.workdir import Workdir

KINDS = ("classifier", *SAMPLER_KINDS)
SAVE_EVERY_S = 60.0
HELP = "one network, all that are trained, or what selection.diversity compares clips by"


def score(
    kind: str,
    index: FeatureIndex,
    folder: Path,
    path: Path,
    *,
    workers: int,
    resize: int = 0,
    quiet: bool = False,
    other_labels: bool = False,
) -> ScoreTable:
    """The score table of the network in `folder`, written to `path`.

    `kind` is "classifier" (then `resize` is the short side that its crops are cut from), "activations" (of
    the sampler in `folder`, in place of its scores) or a sampler. Samplers with `other_labels` may have
    been trained on other classes: saliency knows none.
    Raises `UserError` when network and features were made with different settings.
    """
    from scsampler_tf.model_folder import NETWORK_NAME, load_model

    model = load_model(folder)
    require_same(model.settings, index.settings, str(folder))
    if model.labels != index.labels and not other_labels:
        raise UserError(
            f"{folder}: was trained on other classes than those of {index.folder}; train it again"
        )
    digest = file_digest(folder / NETWORK_NAME)[:16]
    made_by = {
        "network": digest,
        "features": index.settings.digest(),
        "objective": model.about.get("objective"),
    }
    finished = _rows(path, made_by, index)
    known = {**_rows(_part(path), made_by, index), **finished}
    left = [video for video in index.videos if video.video_id not in known]
    if len(finished) == len(index.videos):
        return dataclasses.replace(load_table(path), values=finished)
    for remark in _motion_remarks(left, model):
        tqdm.write(f"{kind}: {remark}")
    function = _function(kind, model)
    scored = (
        _classified(index, left, model, function, workers, resize)
        if kind == "classifier"
        else _sampled(index, left, model, function, kind == ACTIVATIONS)
    )
    progress = tqdm(
        scored, f"scoring {kind}", len(index.videos), initial=len(known), unit="video", disable=quiet
    )
    values = _collect(progress, known, lambda done: save_table(ScoreTable(kind, done, made_by), _part(path)))
    table = ScoreTable(
        kind,
        {video.video_id: values[video.video_id] for video in index.videos if video.video_id in values},
        made_by,
        function.summary(),
    )
    save_table(table, path)
    _part(path).unlink(missing_ok=True)
    return table


def _motion_remarks(videos: list[VideoRecord], model) -> Iterator[str]:
    for policy, count in Counter(video.policy for video in videos).items():
        for remark in unseen(policy, model.about.get("motion", ())):
            yield f"in {count} videos {remark}"


def _part(path: Path) -> Path:
    return path.with_name(f"{path.stem}.part.npz")


def _rows(path: Path, made_by: dict, index: FeatureIndex) -> dict[str, np.ndarray]:
    """What a table holds of the index's videos as they are now, if the same network has made it."""
    table = load_table(path) if path.exists() else None
    if table is None or table.made_by != made_by:
        return {}
    clips = {video.video_id: video.clips for video in index.videos}
    return {name: rows for name, rows in table.values.items() if len(rows) == clips.get(name)}


def _collect(scored: Iterator, known: dict, save: Callable[[dict], None]) -> dict[str, np.ndarray]:
    values, saved = dict(known), time.monotonic()
    for video, rows in scored:
        if isinstance(rows, UserError):
            tqdm.write(f"left out: {rows}")
            continue
        values[video.video_id] = rows
        if time.monotonic() - saved > SAVE_EVERY_S:
            save(values)
            saved = time.monotonic()
    return values


def _function(kind: str, model):
    """The network's answers to clips, timed."""
    from scsampler_tf.scoring import Timed, activation_function, probability_function, saliency_function

    if kind == "classifier":
        return Timed(probability_function(model.network))
    if kind == ACTIVATIONS:
        return Timed(activation_function(model.network))
    return Timed(saliency_function(model.network, model.about["objective"]))


def _sampled(
    index: FeatureIndex, videos: list[VideoRecord], model, function, activations: bool = False
) -> Iterator[tuple[VideoRecord, np.ndarray]]:
    from scsampler_tf.scoring import video_activations, video_saliency

    of_video = video_activations if activations else video_saliency
    for video in videos:
        yield video, of_video(function, index, video, model.kind)


def _classified(
    index: FeatureIndex, videos: list[VideoRecord], model, function, workers: int, resize: int
) -> Iterator[tuple[VideoRecord, np.ndarray | UserError]]:
    """Dense classification; the groups of clips of one video arrive in order and are joined."""
    from scsampler_tf.scoring import clip_probabilities

    size = model.network.input_shape[2]
    parts: list[np.ndarray] = []
    failed = None
    for job, clips in decode_all(videos, index.settings, resize, size, workers):
        if failed == job.video.video_id:
            continue
        if isinstance(clips, UserError):  # an unusable video, or one on which the decoder crashed
            failed, parts = job.video.video_id, []
            yield job.video, clips
            continue
        parts.append(clip_probabilities(function, clips))
        if sum(map(len, parts)) == job.video.clips:
            yield job.video, np.concatenate(parts)
            parts = []


def score_kind(
    kind: str, workdir: Workdir, config: ExperimentConfig, workers: int, quiet: bool = False
) -> ScoreTable:
    """The table of one network of a run."""
    index = workdir.index(config)
    return score(
        kind,
        index,
        workdir.model(_seer(workdir) if kind == ACTIVATIONS else kind),
        workdir.table(kind),
        workers=workers,
        resize=config.classifier.resize,
        quiet=quiet,
    )


def _seer(workdir: Workdir) -> str:
    """The sampler whose activations are stored, the one that the run has scores of."""
    kind = seer([kind for kind in SEERS if workdir.table(kind).exists()])
    if kind is None:
        raise UserError(
            f"{workdir.path}: activations are those of a sampler md or rgb_r, and neither has scores; run "
            f"python -m scsampler_tf.score all --workdir {workdir.path} first"
        )
    return kind


def networks(what: str, workdir: Workdir) -> list[tuple[str, Workdir]]:
    """The networks that `what` names, each with the run in which its folder and table lie."""
    from scsampler_tf.model_folder import is_finished

    if what in (*KINDS, ACTIVATIONS):
        return [(what, workdir)]
    together = workdir.jointly()
    found = [(kind, together) for kind in SAMPLERS if is_finished(together.model(kind))]
    if what == "all":
        found = [(kind, workdir) for kind in KINDS if is_finished(workdir.model(kind))] + found
    if not found:
        command = "scsampler_tf.train joint" if what == "joint" else "scsampler_tf.train"
        raise UserError(f"{workdir.path}: no trained network; run python -m {command} first")
    return found


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.score", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("what", choices=(*KINDS, "joint", "all", ACTIVATIONS), help=HELP)
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        workdir, config = run_config(args)
        for kind, place in networks(args.what, workdir):
            table = score_kind(kind, place, config, args.workers)
            clips = sum(len(rows) for rows in table.values.values())
            print(f"{place.table(kind)}: {len(table.values)} videos, {clips} clips")

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())

"""Trials for TensorBoard's HParams page: one run a trial, its settings and its validation numbers."""

import dataclasses
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from pipelines.files import make_folder
from tuning.report import Row
from tuning.spaces import Space

METRICS = {
    "objective": "objective",
    "accuracy": "val_accuracy",
    "true_score": "val_true_score",
    "gflops_per_video": "gflops_per_video",
}


def write_space(folder: Path, space: Space) -> None:
    """Tells TensorBoard which settings and numbers there are; once a folder."""
    if any(make_folder(folder).glob("events.*")):
        return
    columns = [
        hp.HParam("fusion", hp.Discrete(list(space.schemes))),
        hp.HParam("K", hp.Discrete(list(space.clips))),
        hp.HParam("K_prime", hp.IntInterval(0, max(*space.clips, space.own.K))),
        hp.HParam("alpha", hp.RealInterval(0.0, 1.0)),
        hp.HParam("stride", hp.Discrete(list(space.strides))),
    ]
    if space.margins:
        columns.append(hp.HParam("margin", hp.Discrete(list(space.margins))))
    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(hparams=columns, metrics=[hp.Metric(name) for name in METRICS.values()])


def write_trial(folder: Path, row: Row) -> None:
    """One trial as a TensorBoard run below `folder`."""
    settings = dataclasses.asdict(row.setting.selection)
    if row.setting.margin is not None:
        settings["margin"] = row.setting.margin
    run = f"{folder.name}/{row.trial}"
    with tf.summary.create_file_writer(str(folder / row.trial)).as_default():
        hp.hparams(settings, trial_id=run)
        for name, shown in METRICS.items():
            tf.summary.scalar(shown, getattr(row.assessment, name), step=0)

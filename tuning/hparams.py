"""Trials for TensorBoard's HParams page: one run a trial, its samplers, the best free settings found with
them, and their validation numbers."""

import dataclasses
from pathlib import Path

import tensorflow as tf
from tensorboard.plugins.hparams import api as hp

from pipelines.files import make_folder
from tuning.free import FreeSpace
from tuning.rows import TRAINED_FIELDS, Row, trained_values
from tuning.trained import TrainedSpace

METRICS = {
    "accuracy": "val_accuracy",
    "mean_class_accuracy": "val_mean_class_accuracy",
    "true_score": "val_true_score",
    "gflops_per_video": "gflops_per_video",
}
FREE = ("fusion", "K", "K_prime", "alpha", "stride")


def write_space(folder: Path, free: FreeSpace, trained: TrainedSpace) -> None:
    """Tells TensorBoard which settings and numbers there are; once a folder."""
    if any(make_folder(folder).glob("events.*")):
        return
    columns = [
        hp.HParam("fusion", hp.Discrete(sorted({*free.schemes, free.own.fusion}))),
        hp.HParam("K", hp.Discrete(sorted({*free.clips, free.own.K}))),
        hp.HParam("K_prime", hp.IntInterval(0, max(*free.clips, free.own.K))),
        hp.HParam("alpha", hp.RealInterval(0.0, 1.0)),
        hp.HParam("stride", hp.Discrete(list(free.strides))),
    ]
    for part in trained.parts:
        columns += [hp.HParam(choice.name, hp.Discrete(list(choice.values))) for choice in part.choices()]
        columns.append(hp.HParam(f"{part.kind}.epochs", hp.IntInterval(1, max(part.own.epochs, 2))))
    names = ["objective", *METRICS.values()]
    with tf.summary.create_file_writer(str(folder)).as_default():
        hp.hparams_config(hparams=columns, metrics=[hp.Metric(name) for name in names])


def write_trial(folder: Path, row: Row) -> None:
    """One trial as a TensorBoard run below `folder`; once."""
    if any(make_folder(folder / row.trial).glob("events.*")):
        return
    chosen = dataclasses.asdict(row.selection)
    settings = {name: chosen[name] for name in FREE}
    for kind, sampler in row.samplers.items():
        known = trained_values(sampler)
        settings |= {f"{kind}.{name}": known[name] for name in TRAINED_FIELDS if name in known}
    with tf.summary.create_file_writer(str(folder / row.trial)).as_default():
        hp.hparams(settings, trial_id=f"{folder.name}/{row.trial}")
        tf.summary.scalar("objective", row.objective, step=0)
        for name, shown in METRICS.items():
            tf.summary.scalar(shown, getattr(row.assessment, name), step=0)

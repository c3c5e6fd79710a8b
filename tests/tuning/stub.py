"""Stands in for training and scoring a sampler: epochs that only take time, and made-up scores.

    python -m tests.tuning.stub --workdir RUN ...    # tuning.search with this in place of training

A sampler trained by SAL-RANK with margin 0.2 likes the clips that show their video's class; every other one
mixes that with noise of its own.
"""

import dataclasses
import hashlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.files import make_folder, read_json, write_json
from scsampler_tf.model_folder import is_finished
from scsampler_tf.tables import ScoreTable, load_table, save_table

EPOCHS_NAME, BEGUN_NAME = "epochs.txt", "begun.txt"
EPOCH_S = float(os.environ.get("STUB_EPOCH_S", "0"))


def train(what, workdir, config, *, workers, strategy, folder, quiet=False, pictures=True):
    """Writes what a training writes, an epoch at a time, and goes on after the last whole one.

    As of any training the file of a second one from the beginning is another.
    """
    sampler = getattr(config, what)
    if sampler.learning_rate > 0.5:
        raise UserError("the loss is not a number at batch 3 of epoch 1; try a smaller learning rate")
    if is_finished(folder):
        return folder
    notes = make_folder(folder) / EPOCHS_NAME
    if not notes.exists():
        with (folder.parent / BEGUN_NAME).open("a") as stream:
            stream.write("x")
    begun = (folder.parent / BEGUN_NAME).read_text()
    make_folder(folder / "backup")
    make_folder(folder / "logs")
    done = len(notes.read_text().split()) if notes.exists() else 0
    for epoch in range(done, sampler.epochs):
        time.sleep(EPOCH_S)
        with notes.open("a") as stream:
            stream.write(f"{epoch}:{os.getpid()}\n")
        (folder / "best.keras").write_text(f"{json.dumps(dataclasses.asdict(sampler))}\n{begun} {epoch}")
    about = read_json(workdir.path / "models" / what / "model.json")
    write_json(folder / "model.json", {**about, "config": dataclasses.asdict(sampler)})
    return folder


def score(kind, index, folder: Path, path: Path, *, workers, quiet=False):
    """Scores that depend on the sampler's settings alone."""
    text = (folder / "best.keras").read_text()
    settings, digest = text.splitlines()[0], hashlib.sha256(text.encode()).hexdigest()
    sampler, seed = json.loads(settings), hashlib.sha256(settings.encode()).hexdigest()
    classifier = load_table(index.folder.parent / "scores" / "classifier.npz").values
    rng = np.random.default_rng(int(seed[:8], 16))
    good = 1.0 if sampler["objective"] == "sal_rank" and sampler["margin"] == 0.2 else 0.3 * rng.random()
    labels = {video.video_id: index.label_id(video) for video in index.videos}
    values = {
        name: (good * rows[:, labels[name]] + (1 - good) * rng.random(len(rows))).astype(np.float32)
        for name, rows in classifier.items()
    }
    table = ScoreTable(kind, values, {"network": digest[:16]})
    save_table(table, path)
    return table


def main() -> int:
    """`tuning.search` with the stubs."""
    import scsampler_tf.score
    import scsampler_tf.train
    from tuning.search import main as search

    scsampler_tf.train.train, scsampler_tf.score.score = train, score
    return search(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())

"""Score tables: what each network said about every clip, written once, read by everything later.

A table is one .npz file a network in `WORKDIR/scores/`. Classifier tables hold class probabilities
`[clips, C]` a video, sampler tables saliency `[clips]`, that of activations `[clips, D]` as float16; NaN
marks a clip that the network could not see (no sound). The file also says which model and which settings
it came from, and how long a clip took.
"""

import json
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from pipelines.errors import UserError
from pipelines.files import written_whole

# What NumPy raises on files that are cut short, overwritten in parts, or something else altogether.
DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one network: `values[video_id]` is `[clips]` or `[clips, C]` float32, or float16.

    `timing` is what `scoring.Timed.summary` says; it differs from run to run and is empty in tables of
    which nothing was timed, so it is no part of `made_by`, by which tables are told apart.
    """

    network: str
    values: dict[str, np.ndarray]
    made_by: dict
    timing: dict = field(default_factory=dict)

    def of(self, video_ids: list[str]) -> list[np.ndarray]:
        """The scores of these videos, in this order; a missing one is an error."""
        missing = [name for name in video_ids if name not in self.values]
        if missing:
            raise UserError(
                f"score table '{self.network}': no scores for {missing[0]}; run scsampler_tf.score again"
            )
        return [self.values[name] for name in video_ids]


def save_table(table: ScoreTable, path: str | Path) -> None:
    """Writes a table, whole or not at all."""
    ids = list(table.values)
    rows = [table.values[name] for name in ids]
    lengths = np.array([len(row) for row in rows], np.int64)
    joined = np.concatenate(rows) if rows else np.zeros(0, np.float32)
    about = {"network": table.network, "made_by": table.made_by, "timing": table.timing}
    with written_whole(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(
            stream,
            video_ids=np.array(ids, str),
            clips=lengths,
            values=joined if joined.dtype == np.float16 else joined.astype(np.float32),
            about=np.array(json.dumps(about)),
        )


def load_table(path: str | Path) -> ScoreTable:
    """Reads a table; a missing or damaged file is one sentence."""
    path = Path(path)
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
            about = json.loads(str(data["about"]))
            ends = np.cumsum(data["clips"])
            rows = np.split(data["values"], ends[:-1]) if len(ends) else []
            values = dict(zip(data["video_ids"].tolist(), rows, strict=True))
            return ScoreTable(about["network"], values, about["made_by"], about.get("timing") or {})
    except FileNotFoundError:
        raise UserError(f"{path}: no such score table; make it with python -m scsampler_tf.score") from None
    except DAMAGE as error:
        raise UserError(f"{path}: not a readable score table ({error}); delete it and score again") from None


def padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Rows `[clips, ...]` -> values `[videos, L, ...]` float32 and mask `[videos, L]` bool, L the longest."""
    longest = max((len(row) for row in rows), default=0)
    trailing = rows[0].shape[1:] if rows else ()
    values = np.zeros((len(rows), longest, *trailing), np.float32)
    mask = np.zeros((len(rows), longest), bool)
    for place, row in enumerate(rows):
        values[place, : len(row)] = row
        mask[place, : len(row)] = True
    return values, mask

"""How well motion explains a frame: energy of what is left, over the energy of the plain difference."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipelines.damage import Damage
from pipelines.errors import VideoError
from pipelines.motion import motion_grids
from pipelines.motion_source import I_PICTURE, MotionFrame, StreamMotion, TranscodedMotion
from pipelines.pictures import WholePictures
from pipelines.policy import motion_policy
from pipelines.residual import Residuals
from pipelines.video_file import decoded_frames, opened_pictures, probe

MOST_FRAMES = 400  # of each file
SHORT_SIDE = 256


def rows(path: Path) -> dict:
    """Shares of the plain difference's energy in luma, in percent, for every way that the stream allows."""
    stream = probe(path)
    found = {"file": path.name, "stream": f"{stream.codec}{' with B-frames' * stream.has_b_frames}"}
    if motion_policy(stream, "fast", path).name != "transcode":
        found["as they are"] = _share(path, cell=8, undivided=True)
        found["divided, 16x16"] = _share(path, cell=16)
        found["divided, 8x8"] = _share(path, cell=8)
    found["re-coded"] = _share(path, cell=16, recoded=True)
    found["policy"] = motion_policy(stream, "auto", path).name
    return found


def _share(path: Path, cell: int, undivided: bool = False, recoded: bool = False) -> float:
    left = plain = 0.0
    residuals, before = Residuals(subpel=True), None
    for motion in _motion(path, recoded):
        frame = motion.frame if recoded else motion.frame.reformat(format="yuv420p")
        luma = np.frombuffer(frame.planes[0], np.uint8).reshape(frame.height, -1)[:, : frame.width]
        same = before is not None and before.shape == luma.shape
        if same and motion.frame.pict_type != I_PICTURE:
            field = motion.field()
            if undivided:
                field = field._replace(back=1, ahead=min(field.ahead, 1))
            grid = motion_grids([field], cell)
            left += np.square(residuals.plane_residuals(frame, grid[0], cell)[0].astype(float)).sum()
            plain += np.square(luma.astype(float) - before).sum()
        residuals.start(frame)
        before = luma.astype(float)
    return float(100 * left / plain) if plain else 0.0


def _motion(path: Path, recoded: bool) -> Iterator[MotionFrame]:
    with opened_pictures(path) as (container, stream):
        source = StreamMotion(stream)
        if recoded:
            source = TranscodedMotion(WholePictures(SHORT_SIDE, probe(path).geometry, "yuv420p"))
        frames = source.frames(decoded_frames(container, stream, Damage()))
        for _, motion in zip(range(MOST_FRAMES), frames, strict=False):
            yield motion


def table(paths: list[Path]) -> list[dict]:
    """A row for each file; files that cannot be read say why instead."""
    found = []
    for path in paths:
        try:
            found.append(rows(path))
        except VideoError as error:
            found.append({"file": path.name, "error": str(error)})
    return found

"""What lies in a feature folder: the settings it was made with, one record a video, and what was refused."""

import dataclasses
import itertools
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.errors import UserError
from pipelines.files import read_json
from pipelines.manifest import Refusal
from pipelines.settings import FeatureSettings, settings_from_dict
from pipelines.video import FrameTimes

INDEX_NAME = "index.json"
FORMAT = 2


@dataclass(frozen=True)
class VideoRecord:
    """One usable video of a feature folder; times in seconds since its first frame."""

    video_id: str
    path: str
    label: str
    split: str
    clips: int
    frames: int
    fps: float
    duration_s: float
    has_audio: bool
    codec: str
    policy: str
    shard: str
    timing: dict
    segments: list | None = None
    damage: list = field(default_factory=list)

    def times(self) -> FrameTimes:
        """Timestamps and key frames of the source file, for seeking."""
        return FrameTimes.from_dict(self.timing)

    def clip_bounds_s(self, span: int) -> list[tuple[float, float]]:
        """(start, end) of every clip in seconds, for clips of `span` source frames."""
        times = self.times()
        edges = [min(clip * span, self.frames) for clip in range(self.clips + 1)]
        seconds = [times.seconds(edge) for edge in edges]
        return list(itertools.pairwise(seconds))


@dataclass(frozen=True)
class FeatureIndex:
    """A feature folder as a whole."""

    folder: Path
    settings: FeatureSettings
    labels: list[str]
    videos: list[VideoRecord]
    refused: list[Refusal]
    validation: str

    def of_split(self, *splits: str) -> list[VideoRecord]:
        """The videos of these splits, in the manifest's order."""
        return [video for video in self.videos if video.split in splits]

    def label_id(self, video: VideoRecord) -> int:
        """The class number of a video."""
        return self.labels.index(video.label)

    def shard_path(self, video: VideoRecord) -> str:
        """Full path of a video's TFRecord."""
        return str(self.folder / video.shard)

    def to_dict(self) -> dict:
        """Plain data for the index file."""
        return {
            "format": FORMAT,
            "settings": dataclasses.asdict(self.settings),
            "settings_digest": self.settings.digest(),
            "labels": self.labels,
            "validation": self.validation,
            "videos": [dataclasses.asdict(video) for video in self.videos],
            "refused": [dataclasses.asdict(item) for item in self.refused],
        }


def load_index(folder: str | Path, expected: FeatureSettings | None = None) -> FeatureIndex:
    """Reads a feature folder's index; with `expected`, refuses a folder made with other settings."""
    folder = Path(folder)
    if not (folder / INDEX_NAME).is_file():
        raise UserError(
            f"{folder}: no {INDEX_NAME} here; make it with python -m pipelines.prepare --out {folder}"
        )
    values = read_json(folder / INDEX_NAME)
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT:
        raise UserError(f"{folder}: written in format {found}, this is {FORMAT}; prepare it anew")
    settings = settings_from_dict(values["settings"])
    if expected is not None:
        require_same(settings, expected, str(folder))
    return FeatureIndex(
        folder=folder,
        settings=settings,
        labels=values["labels"],
        videos=[VideoRecord(**video) for video in values["videos"]],
        refused=[Refusal(**item) for item in values["refused"]],
        validation=values["validation"],
    )


def require_same(found: FeatureSettings, expected: FeatureSettings, name: str) -> None:
    """Raises `UserError` naming the first setting in which `found` differs from `expected`."""
    for setting, value in dataclasses.asdict(expected).items():
        there = getattr(found, setting)
        if there != value:
            raise UserError(
                f"{name}: made with {setting}={there}, but {setting}={value} is asked for; "
                "use the same settings or another folder"
            )

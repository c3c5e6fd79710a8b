"""What happens in each video of the synthetic set: pure plans, drawn from a seed and the video's number.

A plan depends on nothing else, so a set can be extended or resumed without touching the files it has.
"""

from dataclasses import dataclass

import numpy as np

FPS = 15
WIDTH, HEIGHT = 160, 120  # ten by seven and a half macroblocks: three across the object
SHORTEST_S, LONGEST_S = 20, 60

ACTIONS = ("bounce", "circle_ccw", "circle_cw", "grow", "spin", "zigzag")
# The actions at half to two thirds of their speed: a clip sees a part of one cycle. They mislead a
# dense average: a classifier of actions is sure of an answer here too, and often of a wrong one.
LURES = tuple(f"slow_{action}" for action in ACTIONS)
# Movement, strong one too, and stillness that belong to no action. The weights keep stillness rare: a
# classifier takes all of it for one and the same action, so a dense average would be right on that one only.
FILLERS = {"pan": 3, "shake": 3, "rush": 2, "wander": 2, "fade": 1, "rest": 1, "still": 1}
DISTRACTORS = LURES + tuple(FILLERS)

OTHER_SOUNDS = ("hum", "noise", "beeps", "melody")

ACTION_SHARE = (0.15, 0.245)
SHORTEST_ACTION = 34  # frames; a clip of 16 frames lies whole within it wherever the clip grid falls
DISTRACTOR_FRAMES = (2 * FPS, 6 * FPS)
LURE_SHARE = 0.6  # of the distractor segments; the rest are fillers
OWN_LURE = 0.5  # share of the videos that show their own action slowly, too
HAS_AUDIO, SOUNDING_ACTION = 0.92, 0.6  # shares of the videos
LOUDNESS_DB = (-30.0, -14.0)  # one distribution for every sound, so that loudness tells nothing

# Blocks of one video a class go to the splits in this order: 9 train, 2 val, 9 test of 20.
SPLITS = ("train", "test", "val", "train", "test", "train", "test", "train", "test", "train")
SPLITS = SPLITS + ("test", "train", "val", "test", "train", "test", "train", "test", "train", "test")


@dataclass(frozen=True)
class Segment:
    """A stretch of one movement with one sound; `start` and `frames` count pictures."""

    start: int
    frames: int
    kind: str
    sound: str
    loudness_db: float
    seed: int

    @property
    def stop(self) -> int:
        return self.start + self.frames


@dataclass(frozen=True)
class VideoPlan:
    """One video before it is drawn. `seed` is that of its looks, shared by all its segments."""

    index: int
    label: str
    split: str
    codec: str
    b_frames: bool
    has_audio: bool
    seed: tuple[int, int]
    segments: tuple[Segment, ...]

    @property
    def frames(self) -> int:
        return self.segments[-1].stop

    @property
    def duration_s(self) -> float:
        return self.frames / FPS

    @property
    def action_segments(self) -> list[tuple[float, float]]:
        """Start and end of the action, seconds, multiples of the frame time."""
        return [(s.start / FPS, s.stop / FPS) for s in self.segments if s.kind == self.label]


def plan_video(seed: int, index: int) -> VideoPlan:
    """The plan of video `index` of the set with this seed, whatever the size of the set."""
    rng = np.random.default_rng([seed, index])
    block, place = divmod(index, len(ACTIONS))
    label = ACTIONS[np.random.default_rng([seed, block, 1]).permutation(len(ACTIONS))[place]]
    frames = round(FPS * SHORTEST_S * (LONGEST_S / SHORTEST_S) ** rng.random())
    actions = _action_lengths(rng, frames)
    gaps = _distractor_lengths(rng, frames - sum(actions))
    places = set(rng.choice(len(gaps) + 1, len(actions), replace=False).tolist())
    kinds = _distractor_kinds(rng, len(gaps), label)
    order: list[tuple[str, int]] = []
    for gap in range(len(gaps) + 1):
        if gap in places:
            order.append((label, actions.pop()))
        if gap < len(gaps):
            order.append((kinds[gap], gaps[gap]))
    return VideoPlan(
        index=index,
        label=label,
        split=SPLITS[block % len(SPLITS)],
        codec="mpeg4" if index % 2 else "h264",
        b_frames=index % 4 == 0,
        has_audio=bool(rng.random() < HAS_AUDIO),
        seed=(seed, index),
        segments=_segments(rng, order),
    )


def _action_lengths(rng: np.random.Generator, frames: int) -> list[int]:
    total = max(SHORTEST_ACTION, int(frames * rng.uniform(*ACTION_SHARE)))
    pieces = int(rng.integers(1, min(3, total // SHORTEST_ACTION), endpoint=True))
    return cut(rng, total, pieces, SHORTEST_ACTION, total)


def _distractor_lengths(rng: np.random.Generator, frames: int) -> list[int]:
    low, high = DISTRACTOR_FRAMES
    pieces = round(frames / ((low + high) / 2))
    return cut(rng, frames, pieces, low, high)


def _distractor_kinds(rng: np.random.Generator, count: int, label: str) -> list[str]:
    """Two lures and two fillers a video, so that a classifier's errors lean one way in each video."""
    lures = [str(kind) for kind in rng.choice(LURES, 2, replace=False)]
    if rng.random() < OWN_LURE:
        lures[0] = f"slow_{label}"
    weights = np.array(list(FILLERS.values())) / sum(FILLERS.values())
    fillers = [str(kind) for kind in rng.choice(list(FILLERS), 2, replace=False, p=weights)]
    lured = round(LURE_SHARE * count)
    kinds = [*rng.choice(lures, lured), *rng.choice(fillers, count - lured)]
    return [str(kinds[i]) for i in rng.permutation(count)]


def _segments(rng: np.random.Generator, order: list[tuple[str, int]]) -> tuple[Segment, ...]:
    """Movements and lengths, given their sounds and put one after the other."""
    sounding = rng.random() < SOUNDING_ACTION
    segments, start = [], 0
    for kind, frames in order:
        sound = kind if kind in ACTIONS and sounding else str(rng.choice(OTHER_SOUNDS))
        loudness = float(rng.uniform(*LOUDNESS_DB))
        segments.append(Segment(start, frames, kind, sound, loudness, int(rng.integers(2**31))))
        start += frames
    return tuple(segments)


def cut(rng: np.random.Generator, total: int, pieces: int, low: int, high: int) -> list[int]:
    """Random lengths within [low, high] that add up to `total`, in random order."""
    if not low * pieces <= total <= high * pieces:
        raise ValueError(f"{total} is no sum of {pieces} lengths within [{low}, {high}]")
    lengths, rest = [], total
    for left in range(pieces - 1, -1, -1):
        lengths.append(
            int(rng.integers(max(low, rest - high * left), min(high, rest - low * left), endpoint=True))
        )
        rest -= lengths[-1]
    return [lengths[i] for i in rng.permutation(pieces)]

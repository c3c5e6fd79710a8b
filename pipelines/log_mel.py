"""Log-mel windows for the audio sampler: exactly 40 bands and 200 time steps a clip, at any frame rate."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipelines.audio import SoundReader
from pipelines.clips import audio_window
from pipelines.settings import MEL_BINS, MEL_FRAMES

NOMINAL_RATE_HZ = 16_000
RATE_TOLERANCE = 0.02
WINDOW_S = 0.025
LOWEST_HZ, HIGHEST_HZ = 125.0, 7500.0
LOG_OFFSET = 0.01
CLIP_HOPS = MEL_FRAMES // 2  # hops of a clip of nominal length; a window has half a clip more on either side
BLOCK_HOPS = CLIP_HOPS  # hops that are transformed together
SAMPLES_AT_ONCE = 1 << 19  # bounds the memory of one transform; at common frame rates some 60 blocks


@dataclass(frozen=True)
class MelPlan:
    """Sample rate and hop that put exactly 200 hops into two clips, close to 16 kHz.

    Hops are counted from the first picture: hop n looks at `window` samples around the middle of the
    stretch `n * hop .. (n + 1) * hop`, so clip k of a constant frame rate has the hops 100k-50 .. 100k+149.
    """

    rate: int
    hop: int

    @property
    def window(self) -> int:
        """Samples under one analysis window: 25 ms, or a whole hop where hops are longer."""
        return max(round(WINDOW_S * self.rate), self.hop)

    @property
    def lead(self) -> int:
        """Samples by which a hop's analysis window begins before the hop itself."""
        return (self.window - self.hop + 1) // 2

    @property
    def fft_length(self) -> int:
        """Samples that are transformed: the analysis window, filled up with zeros to a power of two."""
        return 1 << (self.window - 1).bit_length()

    @property
    def highest_hz(self) -> float:
        """Upper edge of the highest mel band."""
        return min(HIGHEST_HZ, self.rate / 2)

    @property
    def block(self) -> int:
        """Samples that the analysis windows of `BLOCK_HOPS` hops cover."""
        return (BLOCK_HOPS - 1) * self.hop + self.window

    def first_hop(self, start_s: float, end_s: float) -> int:
        """First of a clip's 200 hops, which lie around the clip's middle.

        It is the nearest one to the clip's time, so where a clip is no whole number of samples (29.97 fps)
        the windows are off by half a hop at most, and it never adds up to a drift.
        """
        low, high = audio_window(start_s, end_s)
        return round((low + high) / 2 * self.rate / self.hop) - MEL_FRAMES // 2


def mel_plan(clip_s: float) -> MelPlan:
    """The plan for clips of `clip_s` seconds (paper, section 3.3.2: 200 samples over twice the clip).

    Resamplers want whole rates: among hops near the right one, that whose rate is nearest to a whole
    number. At 10, 12.5, 15, 24, 25, 30, 50 and 60 pictures a second clips of 16 are then exactly 100 hops.
    """
    ideal = NOMINAL_RATE_HZ * clip_s / CLIP_HOPS
    near = range(math.ceil(ideal * (1 - RATE_TOLERANCE)), math.floor(ideal * (1 + RATE_TOLERANCE)) + 1)

    def fault(hop: int) -> tuple[float, float]:
        rate = hop * CLIP_HOPS / clip_s
        return round(abs(rate - round(rate)), 6), abs(hop - ideal)

    hop = min(near or [round(ideal)], key=fault) or 1
    return MelPlan(rate=round(hop * CLIP_HOPS / clip_s), hop=hop)


Transform = Callable[[np.ndarray, MelPlan], np.ndarray]
"""Blocks of samples `[n, plan.block]` float32 -> their log-mel `[n, 100, 40]` float32."""


class MelTrack:
    """The log-mel of a sound track, handed out clip by clip; every hop is computed once.

    The track is transformed in blocks of 100 hops that lie at fixed places, so it does not matter how
    clips are grouped, and stretches that no clip listens to cost nothing. Clips must be asked for in the
    order of their starts: blocks before them are forgotten.
    """

    def __init__(self, reader: SoundReader, plan: MelPlan, transform: Transform | None = None) -> None:
        """`transform` of None is that of `mel_tensorflow`, which training features are made with."""
        if transform is None:
            from pipelines.mel_tensorflow import transform  # several seconds, where it is needed only
        self._reader = reader
        self._plan = plan
        self._transform = transform
        self._mels: dict[int, np.ndarray] = {}  # block number -> [100, 40]
        self._covered: dict[int, np.ndarray] = {}  # block number -> samples with sound in each hop [100]

    def clips(self, times: list[tuple[float, float]]) -> list[np.ndarray | None]:
        """Log-mel `[40, 200]` float16 of each clip; None where the track does not cover half of the clip.

        `times` are (start, end) in seconds. Silence is sound: it gives the log-mel floor, not None.
        """
        firsts = [self._plan.first_hop(start_s, end_s) for start_s, end_s in times]
        wanted = sorted({block for first in firsts for block in _blocks(first)})
        for known in (self._mels, self._covered):
            for block in [block for block in known if block < wanted[0]]:
                del known[block]
        missing = [block for block in wanted if block not in self._mels]
        at_once = max(1, SAMPLES_AT_ONCE // self._plan.block)
        for place in range(0, len(missing), at_once):
            self._compute(missing[place : place + at_once])
        return [self._clip(first) for first in firsts]

    def _compute(self, blocks: list[int]) -> None:
        plan, sounding = self._plan, {}
        for block in blocks:
            samples, covered = self._reader.window(block * BLOCK_HOPS * plan.hop - plan.lead, plan.block)
            own = covered[plan.lead : plan.lead + BLOCK_HOPS * plan.hop]
            self._covered[block] = own.reshape(BLOCK_HOPS, plan.hop).sum(axis=1)
            self._mels[block] = np.full((BLOCK_HOPS, MEL_BINS), np.log(np.float32(LOG_OFFSET)))
            if covered.any():
                sounding[block] = samples
        if sounding:
            mels = self._transform(np.stack(list(sounding.values())), plan)
            self._mels.update(zip(sounding, mels, strict=True))

    def _clip(self, first: int) -> np.ndarray | None:
        own = self._gathered(self._covered, first)[CLIP_HOPS // 2 : -CLIP_HOPS // 2]
        if 2 * own.sum() < CLIP_HOPS * self._plan.hop:
            return None
        return self._gathered(self._mels, first).T.astype(np.float16)

    def _gathered(self, blocks: dict[int, np.ndarray], first: int) -> np.ndarray:
        """The 200 rows from hop `first` on."""
        numbers = _blocks(first)
        rows = np.concatenate([blocks[block] for block in numbers])
        offset = first - numbers[0] * BLOCK_HOPS
        return rows[offset : offset + MEL_FRAMES]


def _blocks(first: int) -> range:
    """Numbers of the blocks that hold the hops `first .. first + 200`."""
    return range(first // BLOCK_HOPS, (first + MEL_FRAMES - 1) // BLOCK_HOPS + 1)

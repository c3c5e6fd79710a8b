"""What is taken from a video and at which size: the settings that a feature folder and a model share."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass

from pipelines.clips import cells
from pipelines.errors import UserError

MOTION_MODES = ("auto", "fast", "direct", "transcode")
RESIDUAL_FORMS = ("step", "accumulated")
RESIDUAL_SHARES = (1, 2, 4)  # the canvas, its half, its quarter
MD_UNITS_PER_PIXEL = 16  # motion displacements are kept as int16 sixteenths of a canvas pixel
RESIDUAL_OFFSET = 128  # residuals are kept as uint8 around this value; what exceeds [-128, 127] is clipped
MEL_BINS, MEL_FRAMES = 40, 200  # paper, section 3.3.2
MACROBLOCK = 16
LONGEST_STRIP = 65_500  # rows of a JPEG, as its encoders limit them


@dataclass(frozen=True)
class FeatureSettings:
    """Settings of the streaming pass. Sizes are sides of the central square, in pixels."""

    clip_frames: int = 16
    """F, pictures in a clip."""
    clip_step: int = 1
    """Source frames from one picture of a clip to the next."""
    canvas: int = 224
    """Side on which motion is measured; the motion grid is canvas/16 wide and high."""
    md_frames: int = 1
    """P-frames a clip that feed the MD sampler; 0 for all of them, as in the paper. Why one:
    docs/experiments.md, "The knee"."""
    residual_frames: int = 1
    """P-frames a clip that feed the RGB-R sampler; 0 for all of them, as in the paper."""
    residual_size: int = 56
    """Side of the RGB residuals: the canvas, its half or its quarter."""
    residual: str = "step"
    """step: against the frame before, as in the paper. accumulated: against the last I-frame (CoViAR)."""
    iframe_size: int = 112
    """Side of the I-frame."""
    motion: str = "auto"
    """auto: the stream's own vectors where each refers to the frame before, else transcode. fast: own
    vectors wherever there are any, divided by their reach in streams with B-frames. direct: own vectors or
    none. transcode: re-coded in memory to MPEG-4 with P-frames only and a key frame every 12."""
    jpeg_quality: int = 90
    """Quality of the stored residual and I-frame JPEGs, 1-100."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if type(value) is not type(field.default):
                kind = "a text" if isinstance(field.default, str) else "a whole number"
                raise UserError(f"features.{field.name}: {value!r} is not {kind}")
        self._check_ranges()

    def _check_ranges(self) -> None:
        for name in ("clip_frames", "clip_step", "canvas", "residual_size", "iframe_size"):
            if getattr(self, name) < 1:
                raise UserError(f"features.{name}: {getattr(self, name)} is not a positive number")
        for name in ("md_frames", "residual_frames"):
            if getattr(self, name) < 0:
                raise UserError(f"features.{name}: {getattr(self, name)} is negative; 0 means all P-frames")
        if self.canvas % MACROBLOCK:
            raise UserError(f"features.canvas: {self.canvas} is not a multiple of {MACROBLOCK}")
        for name, known in (("motion", MOTION_MODES), ("residual", RESIDUAL_FORMS)):
            if getattr(self, name) not in known:
                raise UserError(f"features.{name}: '{getattr(self, name)}' is none of {', '.join(known)}")
        if not 1 <= self.jpeg_quality <= 100:
            raise UserError(f"features.jpeg_quality: {self.jpeg_quality} is not within 1-100")
        self._check_sizes()

    def _check_sizes(self) -> None:
        sizes = [self.canvas // share for share in RESIDUAL_SHARES]
        if self.residual_size not in sizes:
            raise UserError(
                f"features.residual_size: {self.residual_size} is not the canvas, its half or its quarter "
                f"({', '.join(map(str, sizes))})"
            )
        strip = self.residual_cells * self.residual_size
        if strip > LONGEST_STRIP:
            raise UserError(
                f"features.residual_frames: {self.residual_cells} residuals of {self.residual_size} pixels "
                f"make a JPEG of {strip} rows, the most is {LONGEST_STRIP}; take fewer or smaller ones"
            )

    @property
    def span(self) -> int:
        """Source frames of a clip."""
        return self.clip_frames * self.clip_step

    @property
    def grid(self) -> int:
        """Side of the motion grid, in cells of 16x16 canvas pixels."""
        return self.canvas // MACROBLOCK

    @property
    def residual_block(self) -> int:
        """Side of the square of a residual that one cell of the motion grid covers, in pixels."""
        return MACROBLOCK * self.residual_size // self.canvas

    @property
    def md_cells(self) -> int:
        """P, the most P-frames a clip that feed the MD sampler."""
        return len(cells(self.span, self.md_frames)) - 1

    @property
    def residual_cells(self) -> int:
        """The most P-frames a clip that feed the RGB-R sampler."""
        return len(cells(self.span, self.residual_frames)) - 1

    def digest(self) -> str:
        """Twelve hexadecimal digits that differ when any setting differs."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def settings_from_dict(values: dict) -> FeatureSettings:
    """Settings from plain data; an unknown key is an error."""
    known = {field.name for field in dataclasses.fields(FeatureSettings)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise UserError(f"features: unknown key '{unknown[0]}'; known are {', '.join(sorted(known))}")
    return FeatureSettings(**values)

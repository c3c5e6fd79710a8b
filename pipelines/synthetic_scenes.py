"""The pictures of the synthetic set: random backgrounds and objects, drawn straight as YUV 4:2:0 planes."""

import functools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pipelines.synthetic_motion import Track, draw_habits, track
from pipelines.synthetic_plan import HEIGHT, WIDTH, VideoPlan

TILE = 256  # side of a background, which repeats without a seam
PATCH = 96  # side of the object's texture
BLACK = 16
BACKGROUNDS = 4
PROPS_SEED = 2019
SHAPES = ("disc", "square", "cross")
COLOURS = 3  # of each shape


@dataclass(frozen=True)
class Background:
    """Planes of one scene, `[TILE + HEIGHT, TILE + WIDTH]` uint8 and half of it, tiled for any crop."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Props:
    """What every set is drawn from: backgrounds, and objects as images of bands Y, U, V, alpha.

    Their mode is CMYK, the one with four bands that Pillow resamples as they are.
    """

    backgrounds: tuple[Background, ...]
    things: tuple[Image.Image, ...]


@functools.lru_cache(maxsize=1)
def props() -> Props:
    """The same few for every video of every set.

    With looks of its own for each video, a network trained on some dozens of videos learns those by heart
    instead of the movement.
    """
    rng = np.random.default_rng(PROPS_SEED)
    backgrounds = tuple(_background(rng) for _ in range(BACKGROUNDS))
    return Props(backgrounds, tuple(_thing(rng, shape) for shape in SHAPES for _ in range(COLOURS)))


def render(plan: VideoPlan) -> Iterator[np.ndarray]:
    """The pictures of a video: planar yuv420p `[HEIGHT * 3 / 2, WIDTH]` uint8, one after the other."""
    rng = np.random.default_rng([*plan.seed, 2])
    habits, noise = draw_habits(rng), camera_noise(rng)
    for segment in plan.segments:
        chance = np.random.default_rng([*plan.seed, 3, segment.seed])
        background, thing = chance.choice(BACKGROUNDS), chance.choice(COLOURS * len(SHAPES))
        moves = track(segment.kind, segment.frames, habits, chance)
        for frame in range(segment.frames):
            picture = draw(props().backgrounds[background], props().things[thing], moves, frame)
            row, column = chance.integers(HEIGHT), chance.integers(WIDTH)
            picture[:HEIGHT] += noise[row : row + HEIGHT, column : column + WIDTH]
            yield picture


def camera_noise(rng: np.random.Generator) -> np.ndarray:
    """Noise of one video's camera, `[2 * HEIGHT, 2 * WIDTH]` uint8; adding 255 is subtracting 1."""
    noise = rng.normal(0, rng.uniform(0.8, 2.0), (2 * HEIGHT, 2 * WIDTH))
    return np.clip(noise.round(), -BLACK, BLACK).astype(np.int8).view(np.uint8)


def cloud(rng: np.random.Generator, side: int, roughness: float) -> np.ndarray:
    """Seamless random texture `[side, side]` of mean 0 and deviation 1; its spectrum is 1/f**roughness."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency**roughness, (side, side))
    return texture / texture.std()


def _background(rng: np.random.Generator) -> Background:
    roughness = rng.uniform(1.1, 1.5)
    luma = rng.uniform(70, 95) + rng.uniform(8, 12) * cloud(rng, TILE, roughness)
    chroma = [rng.uniform(122, 134) + 3 * cloud(rng, TILE // 2, roughness) for _ in range(2)]
    y, u, v = (np.clip(plane, 2 * BLACK, 220).astype(np.uint8) for plane in (luma, *chroma))
    return Background(
        np.pad(y, ((0, HEIGHT), (0, WIDTH)), mode="wrap"),
        np.pad(u, ((0, HEIGHT // 2), (0, WIDTH // 2)), mode="wrap"),
        np.pad(v, ((0, HEIGHT // 2), (0, WIDTH // 2)), mode="wrap"),
    )


def _thing(rng: np.random.Generator, shape: str) -> Image.Image:
    """A compact shape brighter than any background; one half is the brighter one, so that turning shows."""
    pattern = 0.25 * cloud(rng, PATCH, 2.0) + np.linspace(-1, 1, PATCH)[:, None]
    tones = [(220, 140), rng.uniform(96, 160, 2), rng.uniform(96, 160, 2)]
    bands = [Image.fromarray(np.where(pattern < 0, *tone).astype(np.uint8)) for tone in tones]
    mask = Image.new("L", (PATCH, PATCH))
    pen, radius = ImageDraw.Draw(mask), 0.48 * PATCH
    if shape == "disc":
        pen.ellipse(_box(radius, radius), fill=255)
    elif shape == "square":
        pen.rectangle(_box(0.8 * radius, 0.8 * radius), fill=255)
    else:
        pen.rectangle(_box(0.95 * radius, 0.5 * radius), fill=255)
        pen.rectangle(_box(0.5 * radius, 0.95 * radius), fill=255)
    return Image.merge("CMYK", [*bands, mask])


def _box(wide: float, high: float) -> tuple[float, float, float, float]:
    """Corners of a rectangle in the middle of the texture, from its half width and half height."""
    return PATCH / 2 - wide, PATCH / 2 - high, PATCH / 2 + wide, PATCH / 2 + high


def draw(background: Background, thing: Image.Image, moves: Track, frame: int) -> np.ndarray:
    """One picture as yuv420p planes `[HEIGHT * 3 / 2, WIDTH]` uint8, luma within [16, 220]."""
    left, top = int(moves.camera_x[frame]) % TILE, int(moves.camera_y[frame]) % TILE
    planes = [_crop(plane, left, top) for plane in _planes(background)]
    if moves.size[frame] > 0:
        _paste(planes, thing, moves, frame)
    light = moves.light[frame]
    if light != 1.0:
        planes = [middle + light * (p - middle) for p, middle in zip(planes, (BLACK, 128, 128), strict=True)]
    picture = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    picture[:HEIGHT] = planes[0]
    picture[HEIGHT : HEIGHT * 5 // 4].reshape(-1)[:] = planes[1].reshape(-1)
    picture[HEIGHT * 5 // 4 :].reshape(-1)[:] = planes[2].reshape(-1)
    return picture


def _planes(background: Background) -> tuple[tuple[np.ndarray, int], ...]:
    return (background.y, 1), (background.u, 2), (background.v, 2)


def _crop(plane: tuple[np.ndarray, int], left: int, top: int) -> np.ndarray:
    values, step = plane
    left, top = left // step, top // step
    return values[top : top + HEIGHT // step, left : left + WIDTH // step].astype(np.int16)


def _paste(planes: list[np.ndarray], thing: Image.Image, moves: Track, frame: int) -> None:
    """Blends the object, turned and scaled, into the planes in place; what lies outside is cut off."""
    size, angle = moves.size[frame], moves.angle[frame]
    x, y = moves.x[frame] + WIDTH / 2, moves.y[frame] + HEIGHT / 2
    half = int(np.ceil(0.72 * size / 2)) * 2  # the texture's diagonal, even so that chroma lines up
    left, top = int(x) // 2 * 2 - half, int(y) // 2 * 2 - half
    x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + 2 * half, WIDTH), min(top + 2 * half, HEIGHT)
    if x0 >= x1 or y0 >= y1:
        return
    c, s = PATCH / size * np.cos(angle), PATCH / size * np.sin(angle)
    dx, dy = x0 - x, y0 - y
    matrix = (c, s, PATCH / 2 + c * dx + s * dy, -s, c, PATCH / 2 - s * dx + c * dy)
    patch = thing.transform((x1 - x0, y1 - y0), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    bands = np.asarray(patch).astype(np.int16)
    for plane, (values, step) in enumerate(zip(planes, (1, 2, 2), strict=True)):
        under = values[y0 // step : y1 // step, x0 // step : x1 // step]
        over, alpha = bands[::step, ::step, plane], bands[::step, ::step, 3]
        under += (over - under) * (alpha >> 1) // 127

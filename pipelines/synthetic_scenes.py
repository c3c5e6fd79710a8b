"""The pictures of the synthetic set: random backgrounds and objects, drawn straight as YUV 4:2:0 planes."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from pipelines.synthetic_motion import Track, draw_habits, track
from pipelines.synthetic_plan import HEIGHT, WIDTH, VideoPlan

TILE = 256  # side of a background, which repeats without a seam
PATCH = 96  # side of the object's texture
BLACK = 16
SHAPES = ("disc", "square", "triangle", "star", "cross")


@dataclass(frozen=True)
class Background:
    """Planes of one scene, `[TILE + HEIGHT, TILE + WIDTH]` uint8 and half of it, tiled for any crop."""

    y: np.ndarray
    u: np.ndarray
    v: np.ndarray


@dataclass(frozen=True)
class Looks:
    """What a video is drawn from: backgrounds, the object's texture (bands Y, U, V, alpha), camera noise."""

    backgrounds: list[Background]
    thing: Image.Image
    noise: np.ndarray


def render(plan: VideoPlan) -> Iterator[np.ndarray]:
    """The pictures of a video: planar yuv420p `[HEIGHT * 3 / 2, WIDTH]` uint8, one after the other."""
    rng = np.random.default_rng([*plan.seed, 2])
    looks, habits = draw_looks(rng), draw_habits(rng)
    for segment in plan.segments:
        chance = np.random.default_rng([*plan.seed, 3, segment.seed])
        moves = track(segment.kind, segment.frames, habits, chance)
        for frame in range(segment.frames):
            yield draw(looks, segment.scene, moves, frame, chance)


def draw_looks(rng: np.random.Generator) -> Looks:
    """Looks of one video, independent of what happens in it."""
    backgrounds = [_background(rng) for _ in range(3)]
    noise = rng.normal(0, rng.uniform(0.8, 2.0), (2 * HEIGHT, 2 * WIDTH)).round().astype(np.int16)
    return Looks(backgrounds, _thing(rng), noise)


def cloud(rng: np.random.Generator, side: int, roughness: float) -> np.ndarray:
    """Seamless random texture `[side, side]` of mean 0 and deviation 1; its spectrum is 1/f**roughness."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]) * side
    frequency[0, 0] = np.inf
    texture = np.fft.irfft2(np.fft.rfft2(rng.normal(size=(side, side))) / frequency**roughness, (side, side))
    return texture / texture.std()


def _background(rng: np.random.Generator) -> Background:
    roughness = rng.uniform(1.1, 1.8)
    luma = rng.uniform(80, 160) + rng.uniform(14, 28) * cloud(rng, TILE, roughness)
    chroma = [rng.uniform(100, 156) + rng.uniform(2, 10) * cloud(rng, TILE // 2, roughness) for _ in range(2)]
    y, u, v = (np.clip(plane, BLACK, 235).astype(np.uint8) for plane in (luma, *chroma))
    return Background(
        np.pad(y, ((0, HEIGHT), (0, WIDTH)), mode="wrap"),
        np.pad(u, ((0, HEIGHT // 2), (0, WIDTH // 2)), mode="wrap"),
        np.pad(v, ((0, HEIGHT // 2), (0, WIDTH // 2)), mode="wrap"),
    )


def _thing(rng: np.random.Generator) -> Image.Image:
    """A shape in two tones of a random pattern that no turn maps onto itself, so that turning shows."""
    pattern = cloud(rng, PATCH, 2.0)
    pattern += 0.8 * np.linspace(-1, 1, PATCH)[:, None]
    bands = []
    for low, high, gap in ((30, 226, 90), (70, 186, 30), (70, 186, 30)):
        first = rng.uniform(low, high)
        second = first + gap if first + gap < high else first - gap
        bands.append(np.where(pattern > 0, first, second).astype(np.uint8))
    mask = Image.new("L", (PATCH, PATCH))
    _shape(ImageDraw.Draw(mask), str(rng.choice(SHAPES)))
    return Image.merge("RGBA", [*(Image.fromarray(band) for band in bands), mask])


def _shape(pen: ImageDraw.ImageDraw, name: str) -> None:
    radius, middle = 0.46 * PATCH, PATCH / 2
    if name == "disc":
        pen.ellipse((middle - radius, middle - radius, middle + radius, middle + radius), fill=255)
        return
    if name == "cross":
        for wide, high in ((radius, 0.4 * radius), (0.4 * radius, radius)):
            pen.rectangle((middle - wide, middle - high, middle + wide, middle + high), fill=255)
        return
    corners, inner = {"square": (4, 1.0), "triangle": (3, 1.0), "star": (10, 0.55)}[name]
    angles = 2 * np.pi * np.arange(corners) / corners
    radii = radius * np.where(np.arange(corners) % 2, inner, 1.0)
    points = zip(middle + radii * np.sin(angles), middle - radii * np.cos(angles), strict=True)
    pen.polygon([(float(x), float(y)) for x, y in points], fill=255)


def draw(looks: Looks, scene: int, moves: Track, frame: int, rng: np.random.Generator) -> np.ndarray:
    """One picture as yuv420p planes `[HEIGHT * 3 / 2, WIDTH]` uint8."""
    left, top = int(moves.camera_x[frame]) % TILE, int(moves.camera_y[frame]) % TILE
    planes = [_crop(plane, left, top) for plane in _planes(looks.backgrounds[scene])]
    if moves.size[frame] > 0:
        _paste(planes, looks.thing, moves, frame)
    light = moves.light[frame]
    if light != 1.0:
        planes = [middle + light * (p - middle) for p, middle in zip(planes, (BLACK, 128, 128), strict=True)]
    row, column = rng.integers(HEIGHT), rng.integers(WIDTH)
    planes[0] = planes[0] + looks.noise[row : row + HEIGHT, column : column + WIDTH]
    picture = np.empty((HEIGHT * 3 // 2, WIDTH), np.uint8)
    np.clip(planes[0], 0, 255, out=picture[:HEIGHT], casting="unsafe")
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

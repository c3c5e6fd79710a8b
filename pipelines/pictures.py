"""Upright pictures with square pixels from decoded frames of any size, pixel format and geometry."""

import av
import numpy as np

from pipelines.geometry import Geometry, frame_geometry

UNTOLD_MATRIX = 2
# codes of ISO/IEC 23091-2 that FFmpeg converts
KNOWN_MATRICES = (0, 1, UNTOLD_MATRIX, 4, 5, 6, 7, 9)
TURNS = {0: [], 90: ["transpose=cclock"], 180: ["hflip", "vflip"], 270: ["transpose=clock"]}


class _ShownPictures:
    """Part of a frame, scaled and made upright by FFmpeg's filters; a subclass says which part and size.

    Scaling averages over the area of source pixels under each target pixel: the only one of FFmpeg's
    scalers that neither aliases when a large frame shrinks a lot (as fast bilinear does) nor costs more
    than it; when enlarging it is bilinear. Chroma is computed for every target pixel; FFmpeg's default
    halves it once more, which small pictures show. Cropping comes first, so nothing is scaled that nobody
    sees. Interlaced frames are taken as they are, both fields woven together.
    """

    def __init__(self, geometry: Geometry | None, pixels: str) -> None:
        self._geometry = geometry
        self._pixels = pixels
        self._layout: tuple | None = None
        self._graph: av.filter.Graph | None = None

    def frame(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture as a new frame."""
        if self._geometry is None:
            self._geometry = frame_geometry(frame)
        if frame.colorspace not in KNOWN_MATRICES:
            frame.colorspace = UNTOLD_MATRIX
        layout = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if layout != self._layout:  # streams may change their size midway
            self._graph = self._build(frame)
            self._layout = layout
        self._graph.vpush(frame)
        return self._graph.vpull()

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        """Left, top, width and height of the part that is shown."""
        raise NotImplementedError

    def _size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that the part is scaled to, before it is turned upright."""
        raise NotImplementedError

    def _build(self, frame: av.VideoFrame) -> av.filter.Graph:
        graph = av.filter.Graph()
        if hasattr(graph, "threads"):  # not in older releases of PyAV
            graph.threads = 1  # a video has one thread; several videos run side by side
        source = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"
        colours = f"colorspace={frame.colorspace}:range={frame.color_range}"
        nodes = [graph.add("buffer", f"{source}:{colours}")]
        for step in self._steps(frame):
            name, _, arguments = step.partition("=")
            nodes.append(graph.add(name, arguments or None))
        graph.link_nodes(*nodes).configure(auto_buffer=False)
        return graph

    def _steps(self, frame: av.VideoFrame) -> list[str]:
        left, top, wide, high = self._part(frame.height, frame.width)
        height, width = self._size(frame.height, frame.width)
        # Colours in blocks of four pixels could not be cut at every even place.
        steps = ["format=yuv444p"] if frame.format.chroma_width(8) == 2 else []
        steps.append(f"crop={wide}:{high}:{left}:{top}:exact=1")
        limited = ":out_range=tv" if self._pixels.startswith("yuv") else ""
        steps.append(f"scale={width}:{height}:flags=area+full_chroma_int{limited}")
        steps.append(f"format={self._pixels}")
        mirror = ["hflip"] if self._geometry.mirrored else []
        return [*steps, *mirror, *TURNS[self._geometry.rotation], "buffersink"]


class SquarePictures(_ShownPictures):
    """The square in the middle of a frame as it is shown, scaled to `size` and upright.

    `geometry` is how a player shows the frames; None takes it from the first frame, whose pixels then
    count as square. `pixels` is rgb24 (full range), yuv420p or yuv444p (limited range, the frame's own
    colour matrix).
    """

    def __init__(self, size: int, geometry: Geometry | None = None, pixels: str = "rgb24") -> None:
        super().__init__(geometry, pixels)
        self._side = size

    def array(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture as `[size, size, 3]` uint8 RGB."""
        return self.frame(frame).to_ndarray()

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        return self._geometry.square(height, width)

    def _size(self, height: int, width: int) -> tuple[int, int]:
        return self._side, self._side


class WholePictures(_ShownPictures):
    """Whole frames as they are shown, upright and with square pixels, the shorter side of `short_side`.

    Smaller frames are not enlarged. Height and width are even, as encoders want them, so the shape may be
    a pixel off. The other arguments are those of `SquarePictures`.
    """

    def __init__(self, short_side: int, geometry: Geometry | None = None, pixels: str = "yuv420p") -> None:
        super().__init__(geometry, pixels)
        self._short_side = short_side

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        return 0, 0, width, height

    def _size(self, height: int, width: int) -> tuple[int, int]:
        shown = Geometry(aspect=self._geometry.aspect).shown_size(height, width)
        scale = min(1, self._short_side / min(shown))
        return tuple(max(2, int(side * scale) // 2 * 2) for side in shown)

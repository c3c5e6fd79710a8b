"""Upright square pictures from decoded frames of any size, pixel format and rotation tag."""

import av
import numpy as np

UNTOLD_MATRIX = 2
KNOWN_MATRICES = (
    0,
    1,
    UNTOLD_MATRIX,
    4,
    5,
    6,
    7,
    9,
)  # codes of ISO/IEC 23091-2 that FFmpeg converts
TURNS = {0: [], 90: ["transpose=cclock"], 180: ["hflip", "vflip"], 270: ["transpose=clock"]}


class SquarePictures:
    """Cuts the central square out of a frame, scales it to `size` and turns it upright.

    `rotation` is in degrees counter-clockwise, a multiple of 90. `pixels` is rgb24 (full range) or
    yuv420p (limited range, the frame's own colour matrix). Scaling averages over the area of source
    pixels under each target pixel: the only one of FFmpeg's scalers that neither aliases when a large
    frame shrinks a lot (as fast bilinear does) nor costs more than it; when enlarging it is bilinear.
    Chroma is computed for every target pixel; FFmpeg's default halves it once more, which small pictures
    show. Cropping comes first, so nothing is scaled that nobody sees.
    """

    def __init__(self, size: int, rotation: int = 0, pixels: str = "rgb24") -> None:
        self._size = size
        self._rotation = rotation % 360
        self._pixels = pixels
        self._layout: tuple | None = None
        self._graph: av.filter.Graph | None = None

    def frame(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture as a new frame of `size` x `size`."""
        if frame.colorspace not in KNOWN_MATRICES:
            frame.colorspace = UNTOLD_MATRIX
        layout = (frame.width, frame.height, frame.format.name, frame.colorspace, frame.color_range)
        if layout != self._layout:  # streams may change their size midway
            self._graph = self._build(*layout)
            self._layout = layout
        self._graph.vpush(frame)
        return self._graph.vpull()

    def array(self, frame: av.VideoFrame) -> np.ndarray:
        """The picture as `[size, size, 3]` uint8 RGB."""
        return self.frame(frame).to_ndarray()

    def _build(
        self, width: int, height: int, pixels: str, colorspace: int, color_range: int
    ) -> av.filter.Graph:
        graph = av.filter.Graph()
        if hasattr(graph, "threads"):  # not in older releases of PyAV
            graph.threads = 1  # a video has one thread; several videos run side by side
        side = min(width, height)
        source = f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1"
        steps = [graph.add("buffer", f"{source}:colorspace={colorspace}:range={color_range}")]
        scaling = f"{self._size}:{self._size}:flags=area+full_chroma_int{self._range()}"
        chain = [f"crop={side}:{side}", f"scale={scaling}"]
        chain += [f"format={self._pixels}", *TURNS[self._rotation], "buffersink"]
        for step in chain:
            name, _, arguments = step.partition("=")
            steps.append(graph.add(name, arguments or None))
        graph.link_nodes(*steps).configure(auto_buffer=False)
        return graph

    def _range(self) -> str:
        return ":out_range=tv" if self._pixels.startswith("yuv") else ""

"""What lies in event files, read with TensorBoard's own reader."""

import io
from pathlib import Path

import tensorflow as tf
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2


class Run:
    """One TensorBoard run: a folder with event files."""

    def __init__(self, folder: Path):
        self._events = EventAccumulator(str(folder), size_guidance={"tensors": 0})
        self._events.Reload()
        self.tags = set(self._events.Tags()["tensors"])

    def scalar(self, tag: str) -> dict[int, float]:
        """Values by step."""
        assert self.plugin(tag).plugin_name == "scalars"
        return {each.step: float(tf.make_ndarray(each.tensor_proto)) for each in self._events.Tensors(tag)}

    def pictures(self, tag: str) -> dict[int, Image.Image]:
        """Pictures by step; their sizes are those that TensorBoard is told."""
        assert self.plugin(tag).plugin_name == "images"
        found = {}
        for each in self._events.Tensors(tag):
            width, height, data = each.tensor_proto.string_val
            found[each.step] = Image.open(io.BytesIO(data))
            assert found[each.step].size == (int(width), int(height))
            found[each.step] = found[each.step].convert("RGB")
        return found

    def hparams(self, tag: str) -> plugin_data_pb2.HParamsPluginData:
        """What the HParams page reads."""
        plugin = self.plugin(f"_hparams_/{tag}")
        assert plugin.plugin_name == "hparams"
        return plugin_data_pb2.HParamsPluginData.FromString(plugin.content)

    def plugin(self, tag: str):
        return self._events.SummaryMetadata(tag).plugin_data


def runs_of(folder: Path) -> dict[str, Run]:
    """The runs below a folder, by name."""
    folders = sorted({path.parent for path in folder.rglob("*.tfevents.*")})
    return {each.relative_to(folder).as_posix(): Run(each) for each in folders}

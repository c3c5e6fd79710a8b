"""torchvision's networks in PyTorch, on the CPU, to compare with."""

import functools
import importlib
import importlib.util
import sys
from collections.abc import Callable

import numpy as np

# Where torchvision has the networks that we have too.
MODULES = {
    "r3d_18": "torchvision.models.video",
    "mc3_18": "torchvision.models.video",
    "r2plus1d_18": "torchvision.models.video",
    "s3d": "torchvision.models.video",
    "resnet18": "torchvision.models",
}
# Operators that torchvision decorates when it is imported; its networks use none of them.
OPERATORS = ("nms", "qnms")
OPERATOR = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def missing() -> str | None:
    """Why there is nothing to compare with, in one sentence; None where both packages work."""
    for package in ("torch", "torchvision"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed, so the columns of PyTorch are left out"
    try:
        _torchvision()
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        return f"torchvision cannot be imported ({reason}), so the columns of PyTorch are left out"
    return None


def versions() -> dict[str, str]:
    """Versions of both packages."""
    import torch

    return {"torch": torch.__version__, "torchvision": _torchvision()[0].__version__}


def forward(name: str, classes: int, pictures: np.ndarray, threads: int, channels_last: bool) -> Callable:
    """A call of torchvision's network on `pictures` `[B, *sizes, C]`; it gives logits `[B, classes]`.

    In evaluation and inference mode, without compiling. `channels_last` lays memory out as PyTorch's
    guide to fast inference advises for CPUs; otherwise it is the layout that a model comes in.
    """
    import torch

    _torchvision()
    torch.set_num_threads(threads)
    layout = torch.contiguous_format
    if channels_last:
        layout = torch.channels_last if pictures.ndim == 4 else torch.channels_last_3d
    network = getattr(importlib.import_module(MODULES[name]), name)(weights=None, num_classes=classes)
    network = network.eval().to(memory_format=layout)
    batch = torch.from_numpy(np.moveaxis(pictures, -1, 1).copy()).to(memory_format=layout)

    def call() -> np.ndarray:
        with torch.inference_mode():
            return network(batch).numpy()

    return call


@functools.cache
def _torchvision() -> tuple:
    """The module, and what must live as long as it does.

    A torchvision built for GPUs does not load its operators beside a PyTorch for CPUs, and then stumbles
    over their absence while it is imported. Declared by name only they are enough for that.
    """
    try:
        return importlib.import_module("torchvision"), None
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in list(sys.modules):  # half imported
        if name.partition(".")[0] == "torchvision":
            del sys.modules[name]
    import torch

    declared = torch.library.Library("torchvision", "FRAGMENT")
    for operator in OPERATORS:
        declared.define(operator + OPERATOR)
    return importlib.import_module("torchvision"), declared

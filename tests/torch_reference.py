"""PyTorch's networks as references, where PyTorch is installed."""

import importlib
import sys

import numpy as np
import pytest

# torchvision's own operators that its Python code declares meta functions for when it is imported.
DETECTION = ("nms", "qnms")


def torch():
    """The module torch, or the test is skipped."""
    return pytest.importorskip("torch", reason="PyTorch is not installed: no reference to compare with")


def torchvision():
    """The module torchvision, or the test is skipped.

    torchvision from PyPI is built for GPUs, and beside a CPU build of torch its compiled operators do not
    load; its networks need none of them, but its import asks that two be declared. Where they did load,
    declaring them again would end the process.
    """
    reference = torch()
    try:
        return importlib.import_module("torchvision")
    except ImportError:
        pytest.skip("torchvision is not installed: no reference to compare with")
    except RuntimeError as error:
        if "nms" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = reference.library.Library("torchvision", "FRAGMENT")
    for name in DETECTION:
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    module = importlib.import_module("torchvision")
    module.declared_operators = library  # they are gone once this is
    return module


def randomised(net, seed: int = 0):
    """`net` for inference, every BatchNorm with statistics and affine weights drawn from `seed`.

    As they are created all statistics are 0 and 1, and a mix-up of two of them would change nothing.
    """
    draw = torch().Generator().manual_seed(seed)
    ranges = {
        "running_mean": (-0.5, 0.5),
        "running_var": (0.5, 1.5),
        "weight": (0.5, 1.5),
        "bias": (-0.5, 0.5),
    }
    for module in net.modules():
        if isinstance(module, torch().nn.modules.batchnorm._BatchNorm):
            for name, (low, high) in ranges.items():
                getattr(module, name).data.uniform_(low, high, generator=draw)
    return net.eval()


def state(net) -> dict[str, np.ndarray]:
    """The arrays of a module by key, as a checkpoint holds them."""
    return {key: tensor.numpy() for key, tensor in net.state_dict().items()}


def outputs(net, images: np.ndarray) -> np.ndarray:
    """What `net` makes of channels-last `images` `[B, ..., C]`, as an array."""
    moved = np.ascontiguousarray(np.moveaxis(images, -1, 1), dtype=np.float32)
    with torch().no_grad():
        return net(torch().from_numpy(moved)).numpy()


def relative_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Largest absolute difference, as a share of the largest absolute value of `theirs`."""
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())

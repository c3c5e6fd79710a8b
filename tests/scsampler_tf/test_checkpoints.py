import builtins
import json

import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.checkpoints import read_checkpoint
from tests import torch_reference

WEIGHTS = {
    "conv.weight": np.arange(12, dtype="float32").reshape(3, 4),
    "bn.num_batches_tracked": np.array([7]),
}


def assert_read(path, tensors=WEIGHTS):
    found = read_checkpoint(path)
    assert sorted(found.tensors) == sorted(tensors)
    for name, array in tensors.items():
        np.testing.assert_array_equal(found.tensors[name], array)
    return found


def safetensors(path, tensors=WEIGHTS, metadata=None):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    save_file(tensors, path, metadata)
    return path


def test_safetensors_with_the_names_of_classes(tmp_path):
    path = safetensors(tmp_path / "a.safetensors", metadata={"classes": json.dumps(["run", "sit"])})
    assert assert_read(path).classes == ["run", "sit"]


def test_safetensors_without_names(tmp_path):
    assert assert_read(safetensors(tmp_path / "a.safetensors", metadata={"format": "pt"})).classes is None


@pytest.mark.parametrize("kind", ["float16", "bfloat16"])
def test_half_precision_becomes_float32(tmp_path, kind):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    dtype = np.dtype(getattr(ml_dtypes, kind, kind))
    path = safetensors(tmp_path / "a.safetensors", {"w": np.array([0.5, -2], dtype)})
    assert_read(path, {"w": np.array([0.5, -2], "float32")})
    assert read_checkpoint(path).tensors["w"].dtype == np.float32


@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_damaged_safetensors(tmp_path, share):
    path = safetensors(tmp_path / "a.safetensors", {"w": np.zeros(1000, "float32")})
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match=r"a\.safetensors: cannot be read .*; get the file again"):
        read_checkpoint(path)


def test_a_wrapper_is_taken_off(tmp_path):
    wrapped = {f"module.{name}": array for name, array in WEIGHTS.items()}
    assert_read(safetensors(tmp_path / "a.safetensors", wrapped))


def test_a_module_among_others_stays(tmp_path):
    tensors = {"module.w": np.ones(2, "float32"), "w": np.zeros(2, "float32")}
    assert_read(safetensors(tmp_path / "a.safetensors", tensors), tensors)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_named(tmp_path, value):
    tensors = {"fine": np.zeros(2, "float32"), "layer.w": np.array([0, value], "float32")}
    path = safetensors(tmp_path / "a.safetensors", tensors)
    with pytest.raises(UserError, match=r"layer\.w has values that are not finite"):
        read_checkpoint(path)


def test_an_empty_one(tmp_path):
    with pytest.raises(UserError, match="holds no arrays"):
        read_checkpoint(safetensors(tmp_path / "a.safetensors", {}))


@pytest.mark.parametrize("name", ["a.safetensors", "a.pth", "a.index"])
def test_a_missing_file(tmp_path, name):
    if name == "a.pth":
        torch_reference.torch()
    with pytest.raises(UserError, match="no such file"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["a.pkl", "a.onnx", "a"])
def test_an_unknown_kind(tmp_path, name):
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=r"is no checkpoint; known are \.pth"):
        read_checkpoint(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "package", "remedy"),
    [
        ("a.pth", "torch", r"scsampler-tf\[torch\]"),
        ("a.safetensors", "safetensors", r"scsampler-tf\[convert\]"),
    ],
)
def test_a_missing_package_is_told(tmp_path, monkeypatch, name, package, remedy):
    real = builtins.__import__

    def without(module, *args, **kwargs):
        if module == package:
            raise ImportError(module)
        return real(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(UserError, match=remedy):
        read_checkpoint(tmp_path / name)


def as_torch(tensors=WEIGHTS):
    torch = torch_reference.torch()
    return {name: torch.tensor(array) for name, array in tensors.items()}


@pytest.mark.parametrize("key", [None, "state_dict", "model_state", "model"])
def test_torch(tmp_path, key):
    state = as_torch()
    torch_reference.torch().save({key: state, "epoch": 3} if key else state, tmp_path / "a.pth")
    assert assert_read(tmp_path / "a.pth").classes is None


@pytest.mark.parametrize(
    ("key", "value"), [("classes", ["run", "sit"]), ("class_to_idx", {"sit": 1, "run": 0})]
)
def test_torch_with_the_names_of_classes(tmp_path, key, value):
    torch_reference.torch().save({"state_dict": as_torch(), key: value}, tmp_path / "a.pt")
    assert assert_read(tmp_path / "a.pt").classes == ["run", "sit"]


def test_torch_in_bfloat16(tmp_path):
    torch = torch_reference.torch()
    torch.save({"w": torch.tensor([0.5, -2], dtype=torch.bfloat16)}, tmp_path / "a.pth")
    assert_read(tmp_path / "a.pth", {"w": np.array([0.5, -2], "float32")})


def test_torch_runs_no_code_of_the_file(tmp_path):
    torch = torch_reference.torch()
    torch.save({"w": torch.zeros(2), "why": np.random.default_rng(0)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match="could run a stranger's code"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.9])
def test_damaged_torch(tmp_path, share):
    torch = torch_reference.torch()
    torch.save({"w": torch.zeros(10_000)}, tmp_path / "a.pth")
    data = (tmp_path / "a.pth").read_bytes()
    (tmp_path / "a.pth").write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UserError, match="get the file again"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("stored", ["text", "list"])
def test_torch_of_something_else(tmp_path, stored):
    torch = torch_reference.torch()
    torch.save([torch.zeros(2)] if stored == "list" else "hello", tmp_path / "a.pth")
    with pytest.raises(UserError, match="a dictionary of weights is needed"):
        read_checkpoint(tmp_path / "a.pth")


def tensorflow_checkpoint(folder, tensors=WEIGHTS):
    import tensorflow as tf

    prefix = str(folder / "model.ckpt")
    names = list(tensors)
    tf.raw_ops.SaveV2(
        prefix=prefix,
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )
    return prefix


def test_tensorflow_by_prefix_and_by_index(tmp_path):
    prefix = tensorflow_checkpoint(tmp_path)
    assert_read(prefix)
    assert_read(f"{prefix}.index")


def test_texts_of_a_tensorflow_checkpoint_are_left_out(tmp_path):
    assert_read(tensorflow_checkpoint(tmp_path, {**WEIGHTS, "graph": np.array(b"text")}))


def test_damaged_tensorflow(tmp_path):
    prefix = tensorflow_checkpoint(tmp_path)
    index = tmp_path / "model.ckpt.index"
    index.write_bytes(index.read_bytes()[:20])
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(prefix)


def test_tensorflow_without_its_data(tmp_path):
    prefix = tensorflow_checkpoint(tmp_path)
    for path in tmp_path.glob("*.data-*"):
        path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        read_checkpoint(prefix)


def test_keras_hub_is_told_when_missing():
    try:
        import keras_hub  # noqa: F401
    except ImportError:
        with pytest.raises(UserError, match="pip install keras-hub"):
            read_checkpoint("keras_hub:resnet_18_imagenet")

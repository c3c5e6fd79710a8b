import numpy as np
import pytest

from pipelines.errors import UserError
from scsampler_tf.models import create, names
from scsampler_tf.models.convert import LAYOUTS, choose_layout, classes_of, convert, fill
from scsampler_tf.models.layout import CLASS_LAYER, Layout, weights_by_path

SHAPE = (16, 16, 3)
LAYOUT = Layout("own", lambda path: f"net.{path}", mark="net.logits/kernel", order="tensorflow")


def small():
    return create("resnet_small", num_classes=4, input_shape=SHAPE)


@pytest.fixture
def tensors():
    rng = np.random.default_rng(0)
    return {
        f"net.{path}": rng.normal(size=weight.shape).astype("float32")
        for path, _, weight in weights_by_path(small())
    }


@pytest.fixture
def own(monkeypatch):
    monkeypatch.setitem(LAYOUTS, "resnet_small", (LAYOUT,))


def test_every_weight_is_assigned(tensors):
    model = small()
    assert fill(model, tensors, LAYOUT) == ([], [])
    for path, _, weight in weights_by_path(model):
        np.testing.assert_array_equal(weight.numpy(), tensors[f"net.{path}"])


def test_a_network_for_the_classes_of_the_checkpoint(own, tensors):
    made = convert(tensors, "resnet_small", input_shape=SHAPE, pixels="imagenet")
    assert made.model.output_shape == (None, 4)
    assert (made.layout, made.kept, made.left) == ("own", [], [])
    assert made.options == {"pixels": "imagenet"}


def test_what_is_missing_unexpected_and_of_another_shape_is_named(tensors):
    del tensors["net.stem_conv/kernel"]
    tensors["net.extra"] = np.zeros(3)
    tensors["net.logits/kernel"] = np.zeros((5, 4))
    with pytest.raises(UserError) as error:
        fill(small(), tensors, LAYOUT)
    text = str(error.value)
    assert "1 missing: net.stem_conv/kernel" in text
    assert "1 unexpected: net.extra" in text
    assert "1 of another shape: net.logits/kernel [5, 4] for logits/kernel [64, 4]" in text


def test_nothing_is_assigned_when_something_is_wrong(tensors):
    model = small()
    before = model.get_weights()
    tensors["net.logits/bias"] = np.zeros(9)
    with pytest.raises(UserError):
        fill(model, tensors, LAYOUT)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_long_lists_are_cut(tensors):
    with pytest.raises(UserError, match=r"46 missing: net.stem_conv/kernel, \S+, \S+, \S+ and 42 more\)"):
        fill(small(), {"net.logits/bias": tensors["net.logits/bias"]}, LAYOUT)


def test_counters_are_ignored(tensors):
    tensors["net.stem_bn.num_batches_tracked"] = np.array(3)
    assert fill(small(), tensors, LAYOUT) == ([], [])


def test_a_partial_layout_tells_what_is_left_and_kept(tensors):
    layout = Layout(
        "partial",
        lambda path: None if path.startswith(CLASS_LAYER) else f"net.{path}",
        mark="net.stem_conv/kernel",
        order="tensorflow",
        partial=True,
    )
    model = small()
    before = model.get_layer(CLASS_LAYER).kernel.numpy()
    kept, left = fill(model, tensors, layout)
    assert kept == ["logits/kernel", "logits/bias"]
    assert left == ["net.logits/bias", "net.logits/kernel"]
    np.testing.assert_array_equal(model.get_layer(CLASS_LAYER).kernel.numpy(), before)
    assert classes_of(tensors, layout) is None


@pytest.mark.parametrize(
    ("arch", "layout", "message"),
    [
        ("resnet19", None, "network 'resnet19' is unknown"),
        ("csn_small", None, "csn_small: no published weights are known for it; those of "),
        ("resnet18", "caffe", "resnet18: layout 'caffe' is none of torchvision"),
        ("resnet18", None, "resnet18: the checkpoint has none of fc.weight.* it begins with a, b"),
    ],
)
def test_a_layout_that_cannot_be_chosen(arch, layout, message):
    with pytest.raises(UserError, match=message):
        choose_layout({"a": np.zeros(1), "b": np.zeros(1)}, arch, layout)


def test_the_layout_is_chosen_by_its_mark():
    assert choose_layout({"x": 0, "fc.weight": 0}, "resnet18").name == "torchvision"
    assert choose_layout({"x": 0}, "resnet18", "torchvision").name == "torchvision"


@pytest.mark.parametrize("arch", LAYOUTS)
def test_layouts_are_of_known_networks_and_told_apart_by_their_marks(arch):
    assert arch in names()
    layouts = LAYOUTS[arch]
    assert (
        len({layout.name for layout in layouts}) == len({layout.mark for layout in layouts}) == len(layouts)
    )

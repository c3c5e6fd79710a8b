import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from scsampler_tf import cost, models
from scsampler_tf.cost import Sampler
from scsampler_tf.models.conv3d import FoldedConv3D
from scsampler_tf.models.depthwise import DepthwiseConv3D
from scsampler_tf.models.shufflenet import GroupedPointwise


def small_picture_model():
    entry = keras.Input((6, 8, 3))
    x = layers.Conv2D(5, 3, strides=2, padding="valid", name="conv")(entry)  # [2, 3, 5]
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.MaxPooling2D((2, 1), name="pool")(x)  # [1, 3, 5]
    x = layers.Flatten(name="flat")(x)
    return keras.Model(entry, layers.Dense(4, name="dense")(x))


def test_a_hand_counted_model():
    total = cost.count(small_picture_model())
    convolution, dense = 2 * 3 * (3 * 3 * 3) * 5, 15 * 4
    assert total.multiply_adds == convolution + dense
    assert total.parameters == (27 * 5 + 5) + 2 * 5 + (15 * 4 + 4)
    assert total.gflops == pytest.approx((810 + 60) / 1e9)


def test_per_layer_adds_up_and_keeps_the_order():
    model = small_picture_model()
    rows = cost.per_layer(model)
    assert [row.name for row in rows] == ["conv", "bn", "pool", "flat", "dense"]
    assert [row.multiply_adds for row in rows] == [810, 0, 0, 0, 60]
    assert [row.parameters for row in rows] == [140, 10, 0, 0, 64]
    assert [row.kind for row in rows][:2] == ["Conv2D", "BatchNormalization"]


def test_parameters_do_not_depend_on_what_is_frozen():
    model = small_picture_model()
    before = cost.count(model)
    model.trainable = False
    assert cost.count(model) == before


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (layers.Conv1D(4, 3, padding="same"), (10, 2), 10 * 3 * 2 * 4),
        (layers.Conv1D(4, 3, padding="causal", dilation_rate=2), (10, 2), 10 * 3 * 2 * 4),
        (layers.Conv2D(4, 3, groups=2), (5, 5, 6), 3 * 3 * (3 * 3 * 3) * 4),
        (layers.Conv3D(4, (1, 3, 3), strides=(2, 1, 1)), (4, 5, 5, 2), 2 * 3 * 3 * 9 * 2 * 4),
        (layers.DepthwiseConv1D(3, depth_multiplier=2), (8, 5), 6 * 3 * 5 * 2),
        (layers.DepthwiseConv2D(3, padding="same"), (5, 4, 6), 5 * 4 * 9 * 6),
        (layers.SeparableConv2D(7, 3), (5, 4, 6), 3 * 2 * (9 * 6 + 6 * 7)),
        (DepthwiseConv3D((3, 3, 3), (2, 1, 1), "same"), (4, 5, 5, 6), 2 * 5 * 5 * 27 * 6),
        (DepthwiseConv3D((3, 3, 3)), (4, 5, 7, 6), 2 * 3 * 5 * 27 * 6),
        (GroupedPointwise(12, 3), (4, 5, 9), 4 * 5 * 9 * 12 // 3),
        (FoldedConv3D(7, (1, 3, 3), (1, 2, 2), "valid"), (4, 7, 5, 6), 4 * 3 * 2 * 9 * 6 * 7),
        (FoldedConv3D(7, (3, 1, 1), (2, 1, 1), "valid"), (5, 4, 3, 6), 2 * 4 * 3 * 3 * 6 * 7),
        (FoldedConv3D(7, (3, 3, 3), (2, 2, 2), "valid"), (5, 7, 5, 6), 2 * 3 * 2 * 27 * 6 * 7),
        (layers.GlobalAveragePooling3D(), (5, 4, 3, 6), 0),
        (layers.MaxPooling3D(2), (5, 4, 3, 6), 0),
        (layers.Conv2DTranspose(4, 2, strides=2), (3, 5, 6), 3 * 5 * 4 * 6 * 4),
        (layers.Dense(7), (3, 5, 6), 3 * 5 * 6 * 7),
        (layers.LayerNormalization(), (5, 6), 0),
        (layers.PReLU(), (5, 6), 0),
        (layers.Rescaling(2.0), (5, 6), 0),
        (layers.TimeDistributed(layers.Dense(3)), (5, 6), 5 * 6 * 3),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_each_kind_of_layer(layer, shape, expected):
    entry = keras.Input(shape)
    assert cost.count(keras.Model(entry, layer(entry))).multiply_adds == expected


def test_sequential_and_functional_count_the_same():
    def stack():
        return [layers.Conv2D(4, 3), layers.ReLU(), layers.Flatten(), layers.Dense(2)]

    sequential = keras.Sequential([keras.Input((6, 6, 3)), *stack()])
    entry = x = keras.Input((6, 6, 3))
    for layer in stack():
        x = layer(x)
    assert cost.count(sequential) == cost.count(keras.Model(entry, x))


def test_a_layer_used_twice_works_twice_and_has_its_weights_once():
    dense, entry = layers.Dense(5, name="shared"), keras.Input((5,))
    (row,) = cost.per_layer(keras.Model(entry, dense(dense(entry))))
    assert (row.calls, row.parameters, row.multiply_adds) == (2, 30, 50)


def test_calls_from_another_model_are_not_counted():
    dense, first, second = layers.Dense(5), keras.Input((5,)), keras.Input((5,))
    model = keras.Model(first, dense(first))
    keras.Model(second, dense(dense(second)))
    assert cost.count(model).multiply_adds == 25


def test_nested_models_are_opened_and_multiplied():
    inner = small_picture_model()
    left, right = keras.Input((6, 8, 3)), keras.Input((6, 8, 3))
    outer = keras.Model([left, right], layers.Concatenate()([inner(left), inner(right)]))
    total, once = cost.count(outer), cost.count(inner)
    assert total == cost.Cost(once.parameters, 2 * once.multiply_adds)
    assert f"{inner.name}/conv" in [row.name for row in cost.per_layer(outer)]


def test_a_layer_inside_and_outside_a_nested_model():
    shared, inner_entry, entry = layers.Dense(5, name="shared"), keras.Input((5,)), keras.Input((5,))
    inner = keras.Model(inner_entry, shared(inner_entry), name="inner")
    rows = cost.per_layer(keras.Model(entry, shared(inner(entry))))
    assert [(row.name, row.parameters, row.multiply_adds) for row in rows] == [
        ("inner/shared", 30, 25),
        ("shared", 0, 25),
    ]


def test_a_gate_costs_its_matrix_once_a_clip():
    entry = keras.Input((4, 6, 6, 5))
    mean = layers.GlobalAveragePooling3D(keepdims=True)(entry)
    factor = layers.Dense(5, activation="sigmoid")(mean)
    model = keras.Model(entry, layers.Multiply()([entry, factor]))
    assert cost.count(model) == cost.Cost(30, 25)


def test_a_model_on_every_frame():
    inner = small_picture_model()
    frames = keras.Input((14, 6, 8, 3))
    total = cost.count(keras.Model(frames, layers.TimeDistributed(inner)(frames)))
    assert total.multiply_adds == 14 * 870


class Doubled(layers.Dense):
    def multiply_adds(self, input_shape):
        return 2 * input_shape[-1] * self.units


def test_a_layer_may_say_what_it_costs():
    entry = keras.Input((5,))
    assert cost.count(keras.Model(entry, Doubled(3)(entry))).multiply_adds == 30


def test_unknown_layers_with_weights_are_an_error():
    entry = keras.Input((7, 5))
    with pytest.raises(TypeError, match="multiply-adds of LSTM are not known"):
        cost.count(keras.Model(entry, layers.LSTM(3)(entry)))


def test_products_of_tensors_are_an_error_instead_of_free():
    entry = keras.Input((7, 5))
    with pytest.raises(TypeError, match="Matmul"):
        cost.count(keras.Model(entry, keras.ops.matmul(entry, keras.ops.transpose(entry, (0, 2, 1)))))


def test_sums_of_tensors_are_free():
    entry = keras.Input((5,))
    assert cost.count(keras.Model(entry, entry + entry * 2)) == cost.Cost(0, 0)


def test_unknown_sizes_are_an_error():
    entry = keras.Input((None, None, 3))
    with pytest.raises(ValueError, match="conv: sizes"):
        cost.count(keras.Model(entry, layers.Conv2D(4, 3, name="conv")(entry)))


def test_subclassed_models_are_an_error():
    class Loose(keras.Model):
        def call(self, x):
            return x

    with pytest.raises(TypeError, match="only functional and sequential"):
        cost.count(Loose())


def test_an_image_network_on_a_motion_grid():
    grid = models.create("resnet18", num_classes=400, input_shape=(14, 14, 2), inputs="md", stem="imagenet")
    assert cost.count(grid).gflops == pytest.approx(0.015, rel=0.05)


# Operations whose multiplications and additions the profiler counts, one each. It also counts biases, sums,
# scales and poolings, which are none of ours. Our networks hold no convolution in groups, where it says 0.
PROFILED = ("Conv2D", "Conv3D", "DepthwiseConv2dNative", "MatMul")
CLIP = (8, 56, 56, 3)
THIN = {"widths": (8, 12, 16, 20), "repeats": (1, 1, 1, 2), "stem_width": 8}
THIN_SHUFFLENET = {"widths": (12, 24, 36), "repeats": (1, 1, 2), "stem_width": 6}


def profiled(model) -> dict[str, int]:
    """Floating-point operations of one example by type of operation, as TensorFlow's profiler has them."""
    one = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32)
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(one)
    graph = convert_variables_to_constants_v2(function).graph
    options = tf.compat.v1.profiler.ProfileOptionBuilder.float_operation()
    root = tf.compat.v1.profiler.profile(graph, cmd="op", options={**options, "output": "none"})
    waiting, found = [root], {}
    while waiting:
        node = waiting.pop()
        found[node.name] = node.float_ops
        waiting.extend(node.children)
    return {kind: found.get(kind, 0) for kind in PROFILED}


@pytest.mark.parametrize(
    ("name", "shape", "inputs", "options", "kinds"),
    [
        ("r2plus1d_small", CLIP, "rgb", {}, {"Conv2D", "MatMul"}),
        ("r3d_18", CLIP, "rgb", THIN, {"Conv2D", "Conv3D", "MatMul"}),
        ("mc3_18", CLIP, "rgb", THIN, {"Conv2D", "Conv3D", "MatMul"}),
        ("csn_small", CLIP, "rgb", {}, {"Conv2D", "DepthwiseConv2dNative", "MatMul"}),
        ("ip_csn_50", CLIP, "rgb", THIN, {"Conv2D", "DepthwiseConv2dNative", "MatMul"}),
        ("i3d", CLIP, "rgb", {"width": 1 / 8}, {"Conv2D", "Conv3D", "MatMul"}),
        ("s3d_small", CLIP, "rgb", {"gating": "temporal"}, {"Conv2D", "MatMul"}),
        ("resnet_small", (56, 56, 3), "rgb_r", {}, {"Conv2D", "MatMul"}),
        ("resnet_small", (14, 14, 2), "md", {}, {"Conv2D", "MatMul"}),
        ("shufflenet_26", (56, 56, 3), "rgb", THIN_SHUFFLENET, {"Conv2D", "DepthwiseConv2dNative", "MatMul"}),
        ("vgg_audio_small", (40, 200, 1), "log_mel", {}, {"Conv2D", "MatMul"}),
    ],
)
def test_the_profiler_counts_the_same(name, shape, inputs, options, kinds):
    model = models.create(name, num_classes=10, input_shape=shape, inputs=inputs, **options)
    found = profiled(model)
    assert {kind for kind, operations in found.items() if operations} == kinds
    assert sum(found.values()) == 2 * cost.count(model).multiply_adds


def test_video_cost_by_hand():
    # 101 clips every 7th: 15 scored, each with 14 MD frames of 15 M and one sound of 1.6 G; 10 of 40 G.
    samplers = [Sampler(15e6, 14), Sampler(1.6e9)]
    assert cost.scored_clips(101, 7) == 15
    assert cost.sampling_gflops(101, samplers, 7) == pytest.approx(15 * (0.21 + 1.6))
    total = cost.video_gflops(101, classifier=40e9, chosen=10, samplers=samplers, stride=7)
    assert total == pytest.approx(15 * 1.81 + 400)


def test_a_video_of_the_papers_mean_length():
    # The paper's costs of a video are a curve without numbers (figure 6), its runtimes days on GPUs: nothing
    # to meet. Its setting by hand: 5 minutes 36 seconds (section 4.1.2), taken at 30 frames a second, are 630
    # clips of 16 frames; K = 10, every 7th clip scored (appendix D), on MD of 14x14 and residuals of 224x224
    # of 14 P-frames a clip and one window of sound. R(2+1)D-18 at 224x224 costs 4 times its 40.52 G at 112.
    clips, classifier = 336 * 30 // 16, 4 * 40.52e9
    samplers = [Sampler(0.015e9, 14), Sampler(1.814e9, 14), Sampler(1.633e9)]
    assert (clips, cost.scored_clips(clips, 7)) == (630, 90)
    dense = cost.video_gflops(clips, classifier=classifier, chosen=None)
    every = cost.video_gflops(clips, classifier=classifier, chosen=10, samplers=samplers)
    seventh = cost.video_gflops(clips, classifier=classifier, chosen=10, samplers=samplers, stride=7)
    assert dense == pytest.approx(630 * 162.08)
    assert every == pytest.approx(630 * (0.21 + 25.396 + 1.633) + 1620.8)
    assert seventh == pytest.approx(90 * 27.239 + 1620.8)
    assert dense / every == pytest.approx(5.44, abs=0.01)
    assert dense / seventh == pytest.approx(25.1, abs=0.05)


def test_dense_costs_all_clips_and_k_is_capped():
    assert cost.video_gflops(20, classifier=40e9, chosen=None) == pytest.approx(800)
    assert cost.video_gflops(3, classifier=40e9, chosen=10) == pytest.approx(120)
    assert cost.video_gflops(20, classifier=40e9, chosen=10, stride=7) == pytest.approx(120)
    assert cost.video_gflops(20, classifier=40e9, chosen=0) == 0


@settings(deadline=None)
@given(st.integers(1, 500), st.integers(1, 40), st.integers(1, 30), st.floats(0, 1e9))
def test_sampling_more_rarely_never_costs_more(clips, chosen, stride, multiply_adds):
    def total(every):
        return cost.video_gflops(
            clips, classifier=1e9, chosen=chosen, samplers=[Sampler(multiply_adds, 14)], stride=every
        )

    assert total(stride + 1) <= total(stride)
    assert cost.scored_clips(clips, stride) == len(np.arange(0, clips, stride))


@pytest.mark.parametrize(("clips", "stride"), [(0, 1), (5, 0), (-1, 2)])
def test_video_without_clips_or_stride(clips, stride):
    with pytest.raises(ValueError, match="at least 1"):
        cost.video_gflops(clips, classifier=1e9, chosen=1, stride=stride)
    with pytest.raises(ValueError, match="chosen clips"):
        cost.video_gflops(5, classifier=1e9, chosen=-1)

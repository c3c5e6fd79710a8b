"""A small SavedModel with the kinds of signatures that the REST interface must carry.

    python -m tests.scsampler_tf.serving.plain_model DIR

writes the model base for which a real TF-Serving is started, to run the conformance suite against it:

    docker run --rm -p 127.0.0.1:8501:8501 -v DIR:/models tensorflow/serving:2.21.0 \\
        --model_config_file=/models/models.config --monitoring_config_file=/models/monitoring.config \\
        --allow_version_labels_for_unavailable_models --file_system_poll_wait_seconds=1
    export TF_SERVING_URL=http://127.0.0.1:8501 TF_SERVING_BASE=DIR
    python -m pytest tests/scsampler_tf/serving/test_conformance.py
"""

import shutil
import sys
from pathlib import Path

import tensorflow as tf


def spec(name, dtype, rank):
    return tf.TensorSpec([None] * rank, dtype, name)


class Model(tf.Module):
    def __init__(self, offset):
        super().__init__()
        self.offset = tf.Variable(offset)

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def half_plus(self, x):
        return {"y": x / 2 + self.offset}

    @tf.function(
        input_signature=[
            spec("tag", tf.string, 1),
            spec("signal", tf.int64, 2),
            spec("sensor", tf.float32, 3),
        ]
    )
    def three(self, tag, signal, sensor):
        total = tf.reduce_sum(signal, 1)
        return {"tag": tf.strings.upper(tag), "total": total, "flat": tf.reduce_sum(sensor, 2)}

    @tf.function(input_signature=[spec("image", tf.string, 2)])
    def images(self, image):
        return {"image_bytes": image, "length": tf.strings.length(image)}

    @tf.function(input_signature=[spec("image", tf.string, 1)])
    def raw(self, image):
        return {"text": image}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def echo(self, x):
        return {"x": tf.identity(x)}

    @tf.function(
        input_signature=[
            spec("i8", tf.int8, 1),
            spec("u8", tf.uint8, 1),
            spec("f64", tf.float64, 1),
            spec("flag", tf.bool, 1),
            spec("half", tf.float16, 0),
        ]
    )
    def half_input(self, i8, u8, f64, flag, half):
        return {"i8": i8, "u8": u8, "f64": f64, "flag": flag, "half": half}

    @tf.function(
        input_signature=[
            spec("i8", tf.int8, 1),
            spec("u8", tf.uint8, 1),
            spec("f64", tf.float64, 1),
            spec("flag", tf.bool, 1),
        ]
    )
    def types(self, i8, u8, f64, flag):
        half = tf.cast(f64, tf.float16)
        return {"i8": i8 + 0, "u8": u8 + 0, "f64": f64 + 0, "flag": tf.logical_not(flag), "half": half}

    @tf.function(input_signature=[spec("a", tf.float32, 1), spec("b", tf.float32, 1)])
    def add(self, a, b):
        return {"sum": a + b}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def mean(self, x):
        return {"mean": tf.reduce_mean(x)}

    @tf.function(input_signature=[spec("x", tf.float32, 1)])
    def batches(self, x):
        return {"one": x + 0, "two": tf.concat([x, x], 0)}

    @tf.function(
        input_signature=[
            spec("visual", tf.float32, 2),
            spec("audio", tf.float32, 2),
            spec("has_audio", tf.bool, 2),
            spec("mask", tf.bool, 2),
        ]
    )
    def select(self, visual, audio, has_audio, mask):
        saliency = tf.where(mask, visual + tf.where(has_audio, audio, 0.0), -1.0)
        best = tf.math.top_k(saliency, tf.minimum(2, tf.shape(saliency)[1]))
        return {"indices": tf.where(best.values < 0, -1, best.indices), "saliency": saliency}


def save_model(folder, offset: float = 3.0) -> None:
    model = Model(offset)
    names = ["three", "images", "raw", "echo", "types", "half_input", "add", "mean", "batches", "select"]
    signatures = {name: getattr(model, name) for name in names}
    tf.saved_model.save(model, str(folder), {"serving_default": model.half_plus, **signatures})


MODELS_CONFIG = """
model_config_list {
  config {
    name: "scsampler"
    base_path: "/models/scsampler"
    model_platform: "tensorflow"
    version_labels { key: "stable" value: 1 }
  }
  config {
    name: "several"
    base_path: "/models/several"
    model_platform: "tensorflow"
    model_version_policy { specific { versions: 1 versions: 3 } }
    version_labels { key: "stable" value: 1 }
    version_labels { key: "canary" value: 3 }
  }
  config { name: "changing" base_path: "/models/changing" model_platform: "tensorflow" }
}
"""
MONITORING_CONFIG = 'prometheus_config { enable: true path: "/monitoring/prometheus/metrics" }'


def write_base(folder: Path) -> None:
    """The models of the conformance suite: version v of each adds v + 2 to halves of its input."""
    save_model(folder / "scsampler" / "1")
    for name, versions in {"several": (1, 2, 3), "changing": (1,)}.items():
        for version in versions:
            add_version(folder, name, version)
    (folder / "models.config").write_text(MODELS_CONFIG)
    (folder / "monitoring.config").write_text(MONITORING_CONFIG)


def add_version(folder: Path, name: str, version: int) -> None:
    """Writes a version as an export does: under a name that is no number, then by renaming it."""
    fresh = folder / name / ".fresh"
    save_model(fresh, version + 2.0)
    fresh.rename(folder / name / str(version))


def remove_version(folder: Path, name: str, version: int) -> None:
    """Takes a version away, if it is there."""
    shutil.rmtree(folder / name / str(version), ignore_errors=True)


if __name__ == "__main__":
    write_base(Path(sys.argv[1]))

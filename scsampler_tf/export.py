"""Writes a run's samplers and classifier as one SavedModel that stock TF-Serving runs.

    python -m scsampler_tf.export --workdir runs/mine --name scsampler
    python -m scsampler_tf.export --workdir runs/mine --joint

The version folder appears in saved_models/NAME/ only after the model was loaded again, its graph found
free of operations that a stock server lacks, and its answers found equal to the Keras networks'.
"""

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from pipelines.errors import UserError, run_command
from pipelines.files import make_folder, read_json
from pipelines.folder_lock import writer_in_turn
from scsampler_tf.config import SAMPLERS, ExperimentConfig, from_dict, to_dict
from scsampler_tf.found_settings import configured_run, found_in
from scsampler_tf.selection_config import seer
from scsampler_tf.train import add_run_arguments
from scsampler_tf.workdir import Workdir

MODEL_BASE = Path("saved_models")
ABOUT_PATH = Path("assets.extra") / "scsampler.json"
PYTHON_OPS = {"PyFunc", "PyFuncStateless", "EagerPyFunc"}
# A request must not be able to name a file of the server's.
FILE_OPS = {"ReadFile", "WriteFile", "MatchingFiles", "WholeFileReaderV2", "TFRecordDataset"}
TOLERANCE = 1e-5


class ExportError(UserError):
    """A SavedModel that was written but must not be served."""


def export(
    workdir: Workdir, config: ExperimentConfig, name: str, base: Path = MODEL_BASE, once: bool = False
) -> Path:
    """Exports a run as the next version of model `name` under `base`; returns the version folder.

    Processes that export the same model do so one after the other. once: a version that is there by then,
    the highest, is returned instead of making another. Raises `UserError` when the classifier or all samplers
    are missing, `ExportError` when the SavedModel fails its checks.
    """
    import tensorflow as tf

    from scsampler_tf.composite import Composite
    from scsampler_tf.serving.model_base import versions_on_disk
    from scsampler_tf.serving.warmup import write_warmup

    classifier, samplers = _trained(workdir, config)
    networks = {kind: (model.network, model.about["objective"]) for kind, model in samplers.items()}
    about = describe(config, classifier, samplers)
    composite = Composite(
        classifier.network, networks, config.features, config.selection, classifier.labels, about
    )
    folder = make_folder(base / name)
    with writer_in_turn(folder, _said_once(folder)):
        there = versions_on_disk(folder)
        if once and there:
            return there[max(there)]
        for left in folder.glob(".export-*"):  # of an export that was killed
            shutil.rmtree(left, ignore_errors=True)
        # In the model's own folder, so that the last step is a rename; TF-Serving looks at numbers only.
        with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as temporary:
            fresh = Path(temporary) / "model"
            tf.saved_model.save(composite, str(fresh), signatures=composite.signatures())
            (fresh / ABOUT_PATH).parent.mkdir()
            (fresh / ABOUT_PATH).write_text(json.dumps(about, indent=2), encoding="utf-8")
            scan_graph(fresh)
            write_warmup(fresh, config.features, *classifier.network.input_shape[1:3])
            with _whole_float32():
                compare(fresh, workdir, config, networks, classifier.network)
            version = folder / str(next_version(folder))
            fresh.rename(version)
    return version


def _trained(workdir: Workdir, config: ExperimentConfig) -> tuple:
    """The classifier, and the samplers that are trained, by their kinds."""
    from scsampler_tf.model_folder import is_finished, load_model

    classifier = load_model(workdir.model("classifier"))
    samplers = {
        kind: load_model(workdir.model(kind)) for kind in SAMPLERS if is_finished(workdir.model(kind))
    }
    if not samplers:
        raise UserError(f"{workdir.path}: no trained sampler; run python -m scsampler_tf.train sampler first")
    if config.selection.diversity and seer(samplers) is None:
        raise UserError(
            f"{workdir.path}: selection.diversity compares clips by a sampler md or rgb_r, and neither is "
            "trained; train one, or leave selection.diversity out"
        )
    return classifier, samplers


def _said_once(folder: Path) -> Callable[[], None]:
    """Tells that another process exports into `folder`, the first time it is called."""
    told: list[str] = []

    def say() -> None:
        if not told:
            told.append(f"{folder}: waiting for another process that exports here")
            print(told[0], file=sys.stderr)

    return say


def describe(config: ExperimentConfig, classifier, samplers: dict) -> dict:
    """What a client has to know: labels, clip and picture sizes, feature settings, selection."""
    from scsampler_tf.runtime import versions

    plain = to_dict(config)
    return {
        "labels": classifier.labels,
        "features": plain["features"],
        "fps": None,  # a clip's pictures are the video's own frames, at its own rate
        "clip_size": int(classifier.network.input_shape[2]),
        "clip_resize": config.classifier.resize,
        "selection": plain["selection"],
        "samplers": {kind: model.about["objective"] for kind, model in samplers.items()},
        "jointly": sorted(kind for kind, model in samplers.items() if "joint" in model.about),
        "motion": sorted({policy for model in samplers.values() for policy in model.about.get("motion", ())}),
        "versions": versions(),
    }


def jointly_trained(
    workdir: Workdir, config: ExperimentConfig, fusion_given: bool
) -> tuple[Workdir, ExperimentConfig]:
    """The run with its samplers as joint training has left them, choosing by AV-joint unless a fusion scheme
    was given. Raises `UserError` where joint training has not run to its end."""
    from scsampler_tf.model_folder import ABOUT_NAME, is_finished

    together, folder = workdir.jointly(), workdir.path / "models" / "joint"
    about = read_json(folder / ABOUT_NAME) if is_finished(folder) else {"networks": {}}
    if not about["networks"] or not all(is_finished(together.model(kind)) for kind in about["networks"]):
        raise UserError(
            f"{workdir.path}: has no jointly trained networks; make them with python -m scsampler_tf.train "
            f"joint --workdir {workdir.path}"
        )
    return together, config if fusion_given else from_dict({"selection": {"fusion": "joint"}}, config)


def next_version(folder: Path) -> int:
    """One more than the highest version in a model's folder."""
    names = [path.name for path in folder.iterdir()]
    # "²" is a digit as well, but no number.
    return 1 + max((int(name) for name in names if name.isascii() and name.isdigit()), default=0)


def scan_graph(folder: Path) -> None:
    """Raises `ExportError` for Python functions, operations that TensorFlow's own libraries lack or that read
    and write files, and functions that must be compiled by XLA."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel
    from tensorflow.python.framework import op_def_registry

    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        library = meta.graph_def.library.function
        nodes = [*meta.graph_def.node, *(node for function in library for node in function.node_def)]
        ops = {node.op for node in nodes} - {function.signature.name for function in library}
        # Names of added libraries, loaded here or not, have a prefix: "IO>DecodeWAV".
        foreign = {op for op in ops if ">" in op or op_def_registry.get(op) is None}
        bad = sorted(ops & (PYTHON_OPS | FILE_OPS) | foreign)
        compiled = [function.signature.name for function in library if function.attr["_XlaMustCompile"].b]
        if bad or compiled:
            raise ExportError(f"nothing exported: the graph holds what TF-Serving lacks: {bad + compiled}")


@contextlib.contextmanager
def _whole_float32() -> Iterator[None]:
    """GPUs otherwise round what they multiply to ten bits, and another batch size rounds otherwise."""
    import tensorflow as tf

    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def compare(folder: Path, workdir: Workdir, config: ExperimentConfig, networks: dict, classifier) -> None:
    """Raises `ExportError` when the loaded SavedModel and the Keras networks disagree on a real video."""
    import tensorflow as tf

    from pipelines.decoding import decode_all
    from pipelines.records import BYTES_FIELDS, parse
    from pipelines.unpack import unpack_strips
    from pipelines.wire import pack_strip
    from scsampler_tf.scoring import (
        clip_probabilities,
        probability_function,
        saliency_function,
        video_saliency,
    )

    index = workdir.index(config)
    # a short one with sound, so that every network has something to say
    video = min(index.videos, key=lambda each: (not each.has_audio, each.clips))
    model = tf.saved_model.load(str(folder))
    compare_session(folder, model.signatures)
    shard = tf.data.TFRecordDataset(index.shard_path(video)).map(lambda item: parse(item, BYTES_FIELDS))
    rows = list(shard.as_numpy_iterator())
    features = {name: tf.constant([[row[name] for row in rows]]) for name in ("md", "rgb_r", "log_mel")}
    scores = model.signatures["score"](**features)
    for kind, (network, objective) in networks.items():
        expected = np.nan_to_num(video_saliency(saliency_function(network, objective), index, video, kind))
        found = scores["audio" if kind == "audio" else f"{kind}_saliency"].numpy()[0]
        heard = scores["has_audio"].numpy()[0] if kind == "audio" else slice(None)
        _require_close(found[heard], expected[heard], f"saliency of {kind}")
    size = int(classifier.input_shape[2])
    _, clips = next(decode_all([video], index.settings, config.classifier.resize, size, workers=0, at_once=4))
    if not isinstance(clips, np.ndarray):
        raise clips
    strips = [pack_strip(clip, 95) for clip in clips]
    # TensorFlow's decoder for both: Pillow's differs by a grey level.
    seen, _ = unpack_strips(tf.constant(strips), clips.shape[1], size)
    expected = clip_probabilities(probability_function(classifier), seen.numpy())
    # Each a video of its own, so that all are classified, also where an answer is soon confident.
    weights = {"saliency": tf.zeros((len(strips), 1))} if config.selection.temperature else {}
    answer = model.signatures["classify"](clips=tf.constant(strips)[:, None], **weights)
    found = answer["clip_probabilities"].numpy()[:, 0]
    _require_close(found, expected, "class probabilities")


def compare_session(folder: Path, signatures: dict) -> None:
    """Raises `ExportError` when a session, which is what TF-Serving runs, answers other than `signatures`."""
    import tensorflow as tf

    from scsampler_tf.serving.loaded_model import one_sentence
    from scsampler_tf.serving.warmup import answer_in_session, answer_warmup

    try:
        found = answer_in_session(folder)
    except tf.errors.OpError as error:
        said = one_sentence(error.message)
        raise ExportError(f"nothing exported: TF-Serving could not run it: {said}") from None
    for name, outputs in answer_warmup(signatures, folder).items():
        for key, expected in outputs.items():
            if expected.dtype == object:
                if found[name][key].tolist() != expected.tolist():
                    raise ExportError(f"nothing exported: {key} of {name} is another text in TF-Serving")
            else:
                # activations may be large
                scale = max(1.0, float(np.abs(expected.astype(float)).max(initial=0.0)))
                _require_close(found[name][key] / scale, expected / scale, f"{key} of {name}")


def _require_close(found: np.ndarray, expected: np.ndarray, name: str, tolerance: float = TOLERANCE) -> None:
    worst = float(np.abs(found - expected).max(initial=0.0))
    if not worst <= tolerance:
        raise ExportError(
            f"nothing exported: {name}: the SavedModel differs from the Keras network by {worst:.2g}"
        )


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.export", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument("--name", default="scsampler", help="model name (default scsampler)")
    parser.add_argument(
        "--model-base", default=str(MODEL_BASE), help="TF-Serving's model base (default saved_models)"
    )
    parser.add_argument(
        "--joint", action="store_true", help="the samplers of joint training, choosing by AV-joint"
    )
    add_run_arguments(parser)
    args = parser.parse_args(argv)

    def body():
        if args.joint and found_in(args.config):
            raise UserError("--joint, --config: settings were searched for other networks; give one of them")
        workdir, config = configured_run(args, networks=True)
        if args.joint:
            given = any(text.partition("=")[0].strip() == "selection.fusion" for text in args.set)
            workdir, config = jointly_trained(workdir, config, given)
        print(export(workdir, config, args.name, Path(args.model_base)))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())

"""Makes a network of this project from a published checkpoint.

    python -m scsampler_tf.convert r2plus1d_18.pth --arch r2plus1d_18 --classes kinetics400 --out f.keras

The file that it writes is an ordinary Keras model from pixels in [0, 255] to logits; Keras loads it once
scsampler_tf.models is imported. It also holds the names of the classes. Training begins with it when told
so: --set classifier.weights=f.keras.
"""

import argparse
import json
import sys
from pathlib import Path

from pipelines.errors import UserError, run_command
from pipelines.files import file_digest

KINETICS, IMAGENET = "kinetics400", "imagenet1k"


def read_classes(where: str) -> list[str]:
    """Class names in the order of the logits: from torchvision (`KINETICS`, `IMAGENET`) or from a file.

    A file is a JSON list, a JSON dictionary name -> number, or text with one name a line.

    Raises `UserError` for a file that is missing or no such thing, and when torchvision is not installed.
    """
    if where in (KINETICS, IMAGENET):
        return _torchvision_classes(where)
    path = Path(where)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as names of classes ({error})") from None
    if not text.lstrip().startswith(("[", "{")):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error})") from None
    if isinstance(found, dict) and sorted(found.values(), key=str) == sorted(range(len(found)), key=str):
        found = sorted(found, key=found.get)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise UserError(f"{path}: is neither a list of names nor a dictionary of names with numbers 0, 1")
    return found


def _torchvision_classes(which: str) -> list[str]:
    """The names that torchvision gives with its weights."""
    try:
        from torchvision.models import ResNet18_Weights
        from torchvision.models.video import R3D_18_Weights
    except (ImportError, RuntimeError):  # RuntimeError: built for another PyTorch
        raise UserError(
            f"--classes {which}: the names come with torchvision, which cannot be imported here; "
            "give a file with one name a line"
        ) from None
    weights = R3D_18_Weights.KINETICS400_V1 if which == KINETICS else ResNet18_Weights.IMAGENET1K_V1
    return list(weights.meta["categories"])


def convert_file(
    checkpoint: str,
    arch: str,
    out: str,
    *,
    classes: str | None = None,
    layout: str | None = None,
    input_shape: tuple[int, ...] | None = None,
    options: dict | None = None,
) -> dict:
    """Converts one checkpoint into the file `out`; returns what is to be told of it (`summary`).

    Raises `UserError` for a checkpoint that is unreadable or not that of `arch`, for names of classes
    that are not as many as the network has, and for what `scsampler_tf.models.create` refuses.
    """
    from scsampler_tf.checkpoints import read_checkpoint
    from scsampler_tf.models import PRESETS
    from scsampler_tf.models.convert import convert
    from scsampler_tf.models.network_file import About, check_name, save_network

    check_name(out)
    names = read_classes(classes) if classes else None
    stored = read_checkpoint(checkpoint)
    made = convert(stored.tensors, arch, layout=layout, input_shape=input_shape, **(options or {}))
    names = names or stored.classes
    count = made.model.output_shape[-1]
    if names is not None and len(names) != count:
        where = f"--classes {classes}" if classes else checkpoint
        raise UserError(f"{where}: {len(names)} names of classes, but {checkpoint} has {count} classes")
    about = About(
        arch=arch,
        inputs=PRESETS[arch]["inputs"],
        input_shape=made.model.input_shape[1:],
        options=made.options,
        classes=names,
        source={
            "file": Path(checkpoint).name,
            "layout": made.layout,
            "sha256": digest(checkpoint),
            "begun_afresh": made.kept,
        },
    )
    save_network(out, made.model, about)
    return {
        "out": str(out),
        "arch": arch,
        "layout": made.layout,
        "parameters": made.model.count_params(),
        "classes": count,
        "named": names is not None,
        "kept": made.kept,
        "left": made.left,
    }


def digest(checkpoint: str) -> str | None:
    """SHA-256 of the file, None for checkpoints of several files."""
    return file_digest(checkpoint) if Path(checkpoint).is_file() else None


def summary(made: dict) -> str:
    """What was made, and what the user should know of it, a sentence a line."""
    lines = [
        f"{made['out']}: {made['arch']}, {made['parameters']:,} parameters, {made['classes']} classes, "
        f"from the layout '{made['layout']}'"
    ]
    if not made["named"]:
        lines.append("its classes have no names; --classes gives them")
    if made["kept"]:
        lines.append(f"not in the checkpoint, so they begin afresh: {', '.join(made['kept'])}")
    if made["left"]:
        lines.append(f"left over in the checkpoint: {', '.join(made['left'])}")
    return "\n".join(lines)


def parse_options(texts: list[str]) -> dict:
    """Options of `create` from `KEY=VALUE` texts, values as JSON or else as they are."""
    options = {}
    for text in texts:
        key, sign, value = text.partition("=")
        if not sign:
            raise UserError(f"--set {text}: write it as KEY=VALUE, e.g. norm_epsilon=0.001")
        try:
            options[key] = json.loads(value)
        except ValueError:
            options[key] = value
    return options


def list_layouts() -> str:
    """The networks that have published weights, with the names of their layouts."""
    from scsampler_tf.models.convert import LAYOUTS

    return "\n".join(f"{arch}: {', '.join(x.name for x in layouts)}" for arch, layouts in LAYOUTS.items())


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m scsampler_tf.convert", description=__doc__.split("\n\n")[0]
    )
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help=".pth, .pt, .safetensors, the prefix of a TensorFlow checkpoint, or keras_hub:PRESET",
    )
    parser.add_argument("--arch", help="network, a name of scsampler_tf.models.names()")
    parser.add_argument("--out", help="file to write, ending in .keras")
    parser.add_argument("--classes", help=f"{KINETICS}, {IMAGENET}, or a file of names: text or JSON")
    parser.add_argument("--layout", help="how the checkpoint is laid out (default: found out)")
    parser.add_argument(
        "--input-shape",
        type=int,
        nargs="+",
        metavar="N",
        help="frames height width channels, or height width channels (default: that of the paper)",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="an option of the network"
    )
    parser.add_argument("--list", action="store_true", help="print which networks have which layouts")
    args = parser.parse_args(argv)

    def body():
        if args.list:
            print(list_layouts())
            return
        absent = [name for name in ("checkpoint", "arch", "out") if not getattr(args, name)]
        if absent:
            raise UserError(f"{absent[0]} is not given; CHECKPOINT --arch NAME --out FILE.keras are needed")
        made = convert_file(
            args.checkpoint,
            args.arch,
            args.out,
            classes=args.classes,
            layout=args.layout,
            input_shape=tuple(args.input_shape) if args.input_shape else None,
            options=parse_options(args.set),
        )
        print(summary(made))

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())

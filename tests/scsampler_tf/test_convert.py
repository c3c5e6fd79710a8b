import json

import numpy as np
import pytest

from scsampler_tf import convert as command
from scsampler_tf.models import create
from scsampler_tf.models.convert import LAYOUTS
from scsampler_tf.models.layout import weights_by_path
from scsampler_tf.models.network_file import load_network
from tests import torch_reference

pytest.importorskip("safetensors", reason="safetensors is not installed")
SIDE = 32
SHAPE = ("--input-shape", str(SIDE), str(SIDE), "3")


def stored(classes=3):
    """A checkpoint of a ResNet-18 under torchvision's names, in PyTorch's order of axes."""
    model = create("resnet18", num_classes=classes, input_shape=(SIDE, SIDE, 3), stem="imagenet")
    rng, tensors = np.random.default_rng(0), {}
    for path, _, weight in weights_by_path(model):
        array = rng.uniform(0.1, 1, weight.shape).astype("float32")
        turned = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        tensors[LAYOUTS["resnet18"][0].key(path)] = np.ascontiguousarray(turned)
    return tensors


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    from safetensors.numpy import save_file

    path = tmp_path_factory.mktemp("checkpoint") / "resnet18.safetensors"
    save_file(stored(), path)
    return path


@pytest.fixture
def run(checkpoint, tmp_path, capsys):
    def run(*arguments, arch="resnet18", source=checkpoint):
        out = tmp_path / "out.keras"
        code = command.main([str(source), "--arch", arch, "--out", str(out), *SHAPE, *arguments])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, out, told.out + told.err

    return run


def test_a_checkpoint_becomes_a_network_with_names(run, tmp_path, checkpoint):
    (tmp_path / "names.txt").write_text("run\nsit\n\nstand\n")
    code, out, told = run("--classes", str(tmp_path / "names.txt"))
    assert code == 0
    assert told.strip() == f"{out}: resnet18, 11,187,651 parameters, 3 classes, from the layout 'torchvision'"
    model, about = load_network(out)
    assert about.classes == ["run", "sit", "stand"]
    assert (about.arch, about.inputs, about.input_shape) == ("resnet18", "rgb", (SIDE, SIDE, 3))
    assert about.options == {"pixels": "imagenet", "stem": "imagenet"}
    assert about.source["file"] == checkpoint.name
    assert len(about.source["sha256"]) == 64
    np.testing.assert_array_equal(model.get_layer("logits").kernel.numpy(), stored()["fc.weight"].T)


@pytest.mark.parametrize("text", ['["run", "sit", "stand"]', '{"sit": 1, "stand": 2, "run": 0}'])
def test_names_as_json(run, tmp_path, text):
    (tmp_path / "names.json").write_text(text)
    code, out, _ = run("--classes", str(tmp_path / "names.json"))
    assert code == 0
    assert load_network(out)[1].classes == ["run", "sit", "stand"]


def test_without_names_it_says_so(run):
    code, out, told = run()
    assert code == 0
    assert "its classes have no names" in told
    assert load_network(out)[1].classes is None


def test_names_in_the_checkpoint_come_along(run, tmp_path):
    from safetensors.numpy import save_file

    save_file(stored(2), tmp_path / "named.safetensors", {"classes": json.dumps(["run", "sit"])})
    assert run(source=tmp_path / "named.safetensors")[0] == 0
    assert load_network(tmp_path / "out.keras")[1].classes == ["run", "sit"]


def test_options_of_the_network(run):
    assert run("--set", "norm_epsilon=0.001", "--set", "pixels=unit")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--classes", "nowhere.txt"), "nowhere.txt: cannot be read as names of classes"),
        (("--layout", "caffe"), "layout 'caffe' is none of torchvision"),
        (("--set", "pixels"), "--set pixels: write it as KEY=VALUE"),
        (("--set", "depth=3"), "unknown option 'depth'"),
        (
            ("--set", "pixels=ultra"),
            "pixels 'ultra' is none of kinetics, imagenet, pytorchvideo, signed, unit",
        ),
    ],
)
def test_mistakes_are_one_sentence(run, arguments, message):
    code, out, told = run(*arguments)
    assert code == 2
    assert message in told
    assert len(told.strip().splitlines()) == 1
    assert not out.exists()


def test_another_network(run):
    code, out, told = run(arch="r3d_18")
    assert code == 2
    assert "r3d_18" in told
    assert not out.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run\nsit\n", "2 names of classes, but"),
        ("[1, 2, 3]", "is neither a list of names"),
        ('{"run": 0, "sit": 2}', "is neither a list of names"),
        ('["run"', "is no JSON"),
    ],
)
def test_names_that_do_not_fit(run, tmp_path, text, message):
    (tmp_path / "names").write_text(text)
    code, out, told = run("--classes", str(tmp_path / "names"))
    assert code == 2
    assert message in told
    assert not out.exists()


def test_the_name_of_the_file_is_looked_at_before_the_work(checkpoint, tmp_path, capsys):
    arguments = [str(checkpoint), "--arch", "resnet18", "--out", str(tmp_path / "a.h5")]
    assert command.main(arguments) == 2
    assert "must end in .keras" in capsys.readouterr().err


def test_what_is_not_given(capsys):
    assert command.main(["a.pth", "--arch", "resnet18"]) == 2
    assert "out is not given" in capsys.readouterr().err


def test_list(capsys):
    assert command.main(["--list"]) == 0
    assert "resnet18: torchvision" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("which", "count", "one"), [("kinetics400", 400, "abseiling"), ("imagenet1k", 1000, "tench")]
)
def test_names_that_torchvision_has(which, count, one):
    torch_reference.torchvision()
    found = command.read_classes(which)
    assert len(found) == count
    assert found[0] == one

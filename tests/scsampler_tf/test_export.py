import dataclasses
import json
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

from pipelines import folder_lock
from pipelines.errors import UserError
from pipelines.folder_lock import LOCK_NAME
from scsampler_tf import export as export_module
from scsampler_tf.export import ExportError, compare, export, jointly_trained, main, next_version, scan_graph
from scsampler_tf.model_folder import load_model
from scsampler_tf.workdir import Workdir, open_workdir


@pytest.fixture
def run(tiny_run):
    return open_workdir(tiny_run.folder)


@pytest.fixture
def ready_model(tiny_run, monkeypatch):
    """`tf.saved_model.save` puts the tiny run's export in place instead of tracing the networks again."""
    monkeypatch.setattr("scsampler_tf.composite.Composite.signatures", lambda self: {})

    def save(model, path, signatures):
        shutil.copytree(tiny_run.model / "1", path)
        shutil.rmtree(f"{path}/assets.extra")

    monkeypatch.setattr(tf.saved_model, "save", save)


def test_an_export_that_differs_leaves_nothing_behind(run, tmp_path, ready_model, monkeypatch):
    monkeypatch.setattr(export_module, "TOLERANCE", -1.0)
    monkeypatch.setattr(export_module._require_close, "__defaults__", (-1.0,))
    with pytest.raises(ExportError, match="the SavedModel differs from the Keras network"):
        export(*run, "scsampler", tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name not in ("scsampler", LOCK_NAME)]


def test_versions_count_up_and_are_described(run, tmp_path, ready_model, monkeypatch):
    monkeypatch.setattr(export_module, "compare", lambda *args: None)
    assert export(*run, "m", tmp_path) == tmp_path / "m" / "1"
    assert export(*run, "m", tmp_path) == tmp_path / "m" / "2"
    (tmp_path / "m" / "10").mkdir()
    for name in ("notes", "v99", "99²"):
        (tmp_path / "m" / name).mkdir()
    assert next_version(tmp_path / "m") == 11
    about = json.loads((tmp_path / "m" / "2" / "assets.extra" / "scsampler.json").read_text())
    assert about["labels"] == ["left", "right"]
    assert about["jointly"] == []
    names = {path.name for path in (tmp_path / "m").iterdir()}
    assert names == {LOCK_NAME, "1", "10", "2", "notes", "v99", "99²"}


@pytest.mark.parametrize(("once", "versions"), [(False, ["1", "2"]), (True, ["1", "1"])])
def test_exports_of_one_model_take_turns(run, tmp_path, ready_model, monkeypatch, once, versions):
    """The first is held up while it works: the second waits, and leaves what the first has written alone."""
    working, waiting, allowed, seen = threading.Event(), threading.Event(), threading.Event(), []

    def compare(fresh, *_):
        working.set()
        assert allowed.wait(60)
        seen.append([path.name for path in (tmp_path / "m").glob(".export-*")] == [fresh.parent.name])

    def wait(_):
        waiting.set()
        allowed.wait(60)

    monkeypatch.setattr(export_module, "compare", compare)
    monkeypatch.setattr(folder_lock, "time", SimpleNamespace(sleep=wait))
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(export, *run, "m", tmp_path, once)
        assert working.wait(60)
        second = pool.submit(export, *run, "m", tmp_path, once)
        assert waiting.wait(60)
        assert not first.done()
        assert not second.done()
        allowed.set()
        assert [each.result().name for each in (first, second)] == versions
    assert seen == [True] * len(set(versions))


def test_what_stands_is_returned_where_one_is_enough(run, tmp_path, ready_model, monkeypatch):
    monkeypatch.setattr(export_module, "compare", lambda *args: None)
    for name in ("9", "10", "11"):
        (tmp_path / "m" / name).mkdir(parents=True)
    for name in ("9", "10"):
        (tmp_path / "m" / name / "saved_model.pb").touch()
    assert export(*run, "m", tmp_path, once=True).name == "10"  # 11 holds no model
    assert export(*run, "m", tmp_path).name == "12"


def test_the_command_prints_the_version(tiny_run, tmp_path, ready_model, monkeypatch, capsys):
    monkeypatch.setattr(export_module, "compare", lambda *args: None)
    words = ["--workdir", str(tiny_run.folder), "--name", "again", "--model-base", str(tmp_path)]
    assert main([*words, "--set", "selection.K=2"]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "again" / "1")
    about = json.loads((tmp_path / "again" / "1" / "assets.extra" / "scsampler.json").read_text())
    assert about["selection"]["K"] == 2


def test_the_exported_version_is_whole(tiny_run):
    names = {path.name for path in (tiny_run.model / "1").iterdir()}
    assert {"saved_model.pb", "variables", "assets.extra"} <= names
    assert {path.name for path in tiny_run.model.iterdir()} == {LOCK_NAME, "1"}


def test_a_graph_for_a_stock_server(tiny_run, tmp_path):
    scan_graph(tiny_run.model / "1")

    class Foreign(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None])])
        def __call__(self, x):
            return {"y": tf.py_function(lambda v: v + 1, [x], tf.float32)}

    tf.saved_model.save(Foreign(), str(tmp_path / "python"))
    with pytest.raises(ExportError, match="EagerPyFunc"):
        scan_graph(tmp_path / "python")

    class Compiled(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None])], jit_compile=True)
        def __call__(self, x):
            return {"y": x + 1}

    tf.saved_model.save(Compiled(), str(tmp_path / "xla"))
    with pytest.raises(ExportError, match="the graph holds what TF-Serving lacks"):
        scan_graph(tmp_path / "xla")

    class Reading(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def __call__(self, path):
            return {"y": tf.io.read_file(path)}

    tf.saved_model.save(Reading(), str(tmp_path / "files"))
    with pytest.raises(ExportError, match="ReadFile"):
        scan_graph(tmp_path / "files")


@pytest.mark.parametrize("op", ["IO>DecodeWAV", "MyLibrarysOwn"])
def test_operations_of_added_libraries_are_found(tmp_path, op):
    saved = SavedModel()
    library = saved.meta_graphs.add().graph_def.library
    known = library.function.add()
    known.signature.name = "a function of the graph's own"
    known.node_def.add(name="sum", op="AddV2")
    calling = library.function.add()
    calling.node_def.add(name="call", op=known.signature.name)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    scan_graph(tmp_path)
    calling.node_def.add(name="foreign", op=op)
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ExportError, match=op):
        scan_graph(tmp_path)


def test_another_network_is_noticed(run, tiny_run):
    workdir, config = run
    network = load_model(workdir.model("md")).network
    *others, bias = network.get_weights()
    network.set_weights([*others, bias + [1, 0]])
    classifier = load_model(workdir.model("classifier")).network
    with pytest.raises(ExportError, match="saliency of md: the SavedModel differs"):
        compare(tiny_run.model / "1", workdir, config, {"md": (network, "ac")}, classifier)


def test_what_cannot_be_exported(run, tmp_path, capsys):
    workdir, config = run
    with pytest.raises(UserError, match="no finished network here"):
        export(Workdir(tmp_path / "empty"), config, "m", tmp_path)
    (tmp_path / "run" / "models").mkdir(parents=True)
    (tmp_path / "run" / "models" / "classifier").symlink_to(workdir.model("classifier").resolve())
    with pytest.raises(UserError, match="no trained sampler"):
        export(dataclasses.replace(workdir, path=tmp_path / "run"), config, "m", tmp_path)
    assert main(["--workdir", str(tmp_path / "typo")]) == 2
    assert "no index.json here" in capsys.readouterr().err
    assert not (tmp_path / "typo").exists()


@pytest.fixture
def joint_run(tiny_run, tmp_path):
    """A copy of the run with networks of joint training: MD and audio, each other than the run's own."""
    folder = tmp_path / "run"
    shutil.copytree(tiny_run.folder, folder, ignore=shutil.ignore_patterns("saved_models", "report"))
    joint = folder / "models" / "joint"
    shutil.copytree(
        folder / "models" / "audio", joint
    )  # what was trained together, of which only the names count
    for kind in ("md", "audio"):
        shutil.copytree(folder / "models" / kind, joint / kind)
        network = load_model(joint / kind).network
        *others, bias = network.get_weights()
        network.set_weights([*others, bias + np.arange(len(bias)) + 1])
        network.save(joint / kind / "best.keras")
        trained = json.loads((joint / kind / "model.json").read_text())
        (joint / kind / "model.json").write_text(json.dumps({**trained, "joint": {"with": ["md", "audio"]}}))
    about = json.loads((joint / "model.json").read_text())
    (joint / "model.json").write_text(json.dumps({**about, "networks": {"md": {}, "audio": {}}}))
    return folder


def test_jointly_trained_networks_are_exported(joint_run, tmp_path, capsys):
    words = ["--workdir", str(joint_run), "--joint", "--model-base", str(tmp_path / "base")]
    assert main(words) == 0
    version = tmp_path / "base" / "scsampler" / "1"
    assert capsys.readouterr().out.strip() == str(version)
    about = json.loads((version / "assets.extra" / "scsampler.json").read_text())
    assert about["selection"]["fusion"] == "joint"
    assert set(about["samplers"]) == {"md", "audio"}
    assert about["jointly"] == ["audio", "md"]
    workdir, config = open_workdir(joint_run)
    classifier = load_model(workdir.model("classifier")).network
    for place, fails in ((workdir.jointly(), False), (workdir, True)):
        model = load_model(place.model("md"))
        networks = {"md": (model.network, model.about["objective"])}
        with pytest.raises(ExportError, match="of md: the SavedModel differs") if fails else nullcontext():
            compare(version, workdir, config, networks, classifier)


def test_which_way_of_choosing_jointly_trained_networks_have(joint_run):
    workdir, config = open_workdir(joint_run)
    assert jointly_trained(workdir, config, False)[1].selection.fusion == "joint"
    together, same = jointly_trained(workdir, config, True)
    assert same == config
    assert together.model("audio") == joint_run / "models" / "joint" / "audio"


def test_without_whole_joint_training_nothing_is_exported(tiny_run, joint_run, tmp_path, capsys):
    base = ["--model-base", str(tmp_path / "base")]
    assert main(["--workdir", str(tiny_run.folder), "--joint", *base]) == 2
    error = capsys.readouterr().err
    assert "no jointly trained networks; make them with python -m scsampler_tf.train joint" in error
    shutil.rmtree(joint_run / "models" / "joint" / "audio")
    assert main(["--workdir", str(joint_run), "--joint", *base]) == 2
    assert "no jointly trained networks" in capsys.readouterr().err
    best = tmp_path / "best.json"
    best.write_text('{"selection": {}, "networks": {}}')
    assert main(["--workdir", str(joint_run), "--joint", "--config", str(best), *base]) == 2
    assert "--joint, --config: settings were searched for" in capsys.readouterr().err
    assert not (tmp_path / "base").exists()


def test_answers_are_compared_in_whole_float32(run, tmp_path, ready_model, monkeypatch):
    enabled = tf.config.experimental.tensor_float_32_execution_enabled
    seen = []
    monkeypatch.setattr(export_module, "compare", lambda *args: seen.append(enabled()))
    export(*run, "scsampler", tmp_path)
    assert (seen, enabled()) == ([False], True)

import dataclasses
import json
import shutil

import pytest
import tensorflow as tf

from pipelines.errors import UserError
from scsampler_tf import export as export_module
from scsampler_tf.export import ExportError, compare, export, main, next_version, scan_graph
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
    assert not [path for path in tmp_path.rglob("*") if path.name != "scsampler"]


def test_versions_count_up_and_are_described(run, tmp_path, ready_model, monkeypatch):
    monkeypatch.setattr(export_module, "compare", lambda *args: None)
    assert export(*run, "m", tmp_path) == tmp_path / "m" / "1"
    assert export(*run, "m", tmp_path) == tmp_path / "m" / "2"
    (tmp_path / "m" / "10").mkdir()
    (tmp_path / "m" / "notes").mkdir()
    assert next_version(tmp_path / "m") == 11
    about = json.loads((tmp_path / "m" / "2" / "assets.extra" / "scsampler.json").read_text())
    assert about["labels"] == ["left", "right"]
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == ["1", "10", "2", "notes"]


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
    assert [path.name for path in tiny_run.model.iterdir()] == ["1"]


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

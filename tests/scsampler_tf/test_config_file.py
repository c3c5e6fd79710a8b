"""Settings from files: what counts when preset, file and command line say different things; refusals."""

import dataclasses
import json
import sys

import pytest

from pipelines.errors import UserError
from scsampler_tf.config import paper, small, tiny, to_dict
from scsampler_tf.config_file import configured

TOML = 'seed = 5\n[md]\nepochs = 7\nlearning_rate = 1\n[selection]\nfusion = "visual"\n'


def written(tmp_path, values, name="own.json"):
    path = tmp_path / name
    path.write_text(values if isinstance(values, str) else json.dumps(values))
    return path


def test_the_command_line_counts_before_the_file_and_the_file_before_the_preset(tmp_path):
    path = written(tmp_path, {"md": {"epochs": 7, "margin": 0.3}, "seed": 5})
    config = configured(small(), path, ["md.epochs=9", "audio.epochs=2"])
    assert config.md == dataclasses.replace(small().md, epochs=9, margin=0.3)
    assert config.audio == dataclasses.replace(small().audio, epochs=2)
    assert (config.seed, config.rgb_r) == (5, small().rgb_r)
    assert configured(small(), None, []) == small()
    assert configured(small(), None, ["seed=3"]).seed == 3


def test_a_runs_own_configuration_is_a_file_of_settings(tmp_path):
    path = written(tmp_path, to_dict(tiny()), "config.json")
    assert configured(paper(), path, []) == tiny()


def test_a_toml_file(tmp_path):
    pytest.importorskip("tomllib", reason="TOML is read from Python 3.11 on")
    config = configured(tiny(), written(tmp_path, TOML, "own.toml"), ["md.epochs=1"])
    assert (config.seed, config.md.epochs, config.selection.fusion) == (5, 1, "visual")
    assert config.md.learning_rate == 1.0
    assert isinstance(config.md.learning_rate, float)
    with pytest.raises(UserError, match=r"own\.toml: not a readable file of settings"):
        configured(tiny(), written(tmp_path, "seed = 5\nseed = 6\n", "own.toml"), [])


def test_toml_without_its_reader_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomllib", None)
    with pytest.raises(UserError, match=r"own\.toml: reading TOML needs Python 3\.11 or newer"):
        configured(tiny(), written(tmp_path, TOML, "own.toml"), [])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"md": {"epoch": 3}}, r"own\.json: unknown setting 'md\.epoch'; known are md\.arch"),
        ({"md": 3}, r"own\.json: md: a group of settings is needed, not 3"),
        ({"md": {"epochs": "many"}}, r"own\.json: md\.epochs: 'many' is not of type int"),
        ({"selection": {"K_prime": 6}}, r"own\.json: selection\.K_prime: 6 is not within 0\.\.K=5"),
        ({"features": {"canvas": 100}}, r"own\.json: features\.canvas: 100 is not a multiple of 16"),
        ([1], r"own\.json: holds no settings"),
        ('{"seed": 1, "seed": 2}', r"own\.json: .*'seed' is given twice in one group"),
        ('{"md": {"margin": NaN}}', r"own\.json: md\.margin: nan is not a finite number"),
        ("seed = 1", r"own\.json: not a readable file of settings"),
    ],
)
def test_mistakes_name_the_file_and_the_key(tmp_path, values, message):
    with pytest.raises(UserError, match=message) as caught:
        configured(small(), written(tmp_path, values), [])
    assert "\n" not in str(caught.value)


def test_mistakes_of_the_command_line_do_not_name_the_file(tmp_path):
    path = written(tmp_path, {"md": {"epochs": 7}})
    with pytest.raises(UserError, match=r"^md\.epochs: 0 is not positive"):
        configured(small(), path, ["md.epochs=0"])
    with pytest.raises(UserError, match=r"^md: a group of settings is needed"):
        configured(small(), path, ["md=3"])
    with pytest.raises(UserError, match=r"own\.json: md: a group of settings is needed"):
        configured(small(), written(tmp_path, {"md": 3}), ["md.epochs=3"])


def test_files_and_texts_are_checked_together(tmp_path):
    path = written(tmp_path, {"selection": {"K_prime": 6}})
    assert configured(small(), path, ["selection.K=10"]).selection.K_prime == 6


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        configured(small(), tmp_path / "none.json", [])
    with pytest.raises(UserError, match="not a readable file of settings"):
        configured(small(), tmp_path, [])

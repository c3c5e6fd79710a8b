"""models.config: what is read, what is refused."""

from pathlib import Path

import pytest

from pipelines.errors import UserError
from scsampler_tf.serving.models_config import ModelConfig, read_models_config

COMMITTED = Path(__file__).parents[3] / "saved_models" / "models.config"


def read(tmp_path, text: str, base=None):
    path = tmp_path / "models.config"
    path.write_text(text)
    return read_models_config(path, base)


def test_committed_file():
    (config,) = read_models_config(COMMITTED, "here")
    assert config == ModelConfig("scsampler", Path("here/scsampler"))
    assert read_models_config(COMMITTED)[0].base_path == Path("/models/scsampler")


def test_every_field_and_the_text_formats_freedoms(tmp_path):
    configs = read(
        tmp_path,
        """
        model_config_list: <
          config { name: 'one' base_path: "/da" 'ta/one';
                   model_version_policy { specific { versions: [3, 1] } }
                   version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 } }
          config { name: "two" base_path: "/data/two"  # a comment
                   model_version_policy { latest { num_versions: 2 } } }
          config { name: "three" base_path: "/data/three" model_version_policy { all {} } }
        >""",
    )
    one, two, three = configs
    assert one.base_path == Path("/data/one")
    assert one.labels == {"stable": 1, "canary": 3}
    assert one.wanted([1, 2, 3]) == [3, 1]
    assert two.wanted([1, 10, 9]) == [10, 9]
    assert three.wanted([1, 3]) == [3, 1]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "names no model"),
        ("model_config_list { config { name: 'a' base_path: 'relative' } }", "absolute"),
        ("model_config_list { config { name: 'a' } }", "base_path"),
        ("model_config_list { config { name: 'a' base_path: '/a' model_platform: 'onnx' } }", "onnx"),
        ("model_config_list { config { name: 'a' base_path: '/a' logging_config {} } }", "logging_config"),
        ("custom_model_config {}", "custom_model_config"),
        ("model_config_list { config { name: 'a' base_path: '/a'", "models.config"),
        ("model_config_list { config { name: 3 } }", "1:"),
        (
            "model_config_list { config { name: 'a' base_path: '/a' model_version_policy { specific {} } } }",
            "policy",
        ),
        (
            "model_config_list { config { name: 'a' base_path: '/a' } config { name: 'a' base_path: '/b' } }",
            "two models",
        ),
    ],
)
def test_refusals_say_what_is_wrong(tmp_path, text, word):
    with pytest.raises(UserError, match=word):
        read(tmp_path, text)


def test_missing_file(tmp_path):
    with pytest.raises(UserError, match=r"absent\.config"):
        read_models_config(tmp_path / "absent.config")

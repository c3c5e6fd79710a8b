"""What may import what, and that the code stays in small described files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pipelines", "scsampler_tf", "tuning")
LONGEST = 300
# The method itself: Keras and NumPy alone, so that it runs on every Keras backend.
METHOD = (
    *("objectives", "saliency", "selection", "fusion", "aggregate", "cost"),
    *("diversity", "adaptive", "weighting", "activations"),
)
# Of the floor below, what needs the standard library alone.
PLAIN_FLOOR = ("pipelines.errors", "pipelines.files", "pipelines.settings", "pipelines.clips")
PLAIN_DATA = ("pipelines.errors", "pipelines.settings", "scsampler_tf.config")
WITHOUT_TENSORFLOW = (
    *(
        "pipelines.decoding",
        "pipelines.index",
        "pipelines.manifest",
        "pipelines.video",
        "pipelines.compressed",
    ),
    *(
        "pipelines.prepare",
        "pipelines.prepare_beam",
        "pipelines.extraction",
        "pipelines.inspect",
        "pipelines.synthetic",
        "scsampler_tf.serving.client",
        "scsampler_tf.predict_beam",
        # What draws for TensorBoard runs in a process of its own.
        "scsampler_tf.board.timelines",
        "scsampler_tf.board.input_pictures",
        "scsampler_tf.board.curves",
        "scsampler_tf.board.confusion",
        "scsampler_tf.config_file",
        "scsampler_tf.dry_run",
        "scsampler_tf.versions",
        "scsampler_tf.predict_batch",
        "scsampler_tf.predict_models",
        "scsampler_tf.predict_results",
        "scsampler_tf.predict_workers",
        "scsampler_tf.serving.upload_worker",
        "scsampler_tf.serving.server",
    ),
    *("scsampler_tf.convert", "scsampler_tf.checkpoints", "scsampler_tf.variants", "scsampler_tf.knee"),
    *("scsampler_tf.train", "scsampler_tf.score", "scsampler_tf.evaluate", "scsampler_tf.export"),
    *("scsampler_tf.predict", "scsampler_tf.report", "scsampler_tf.experiment", "scsampler_tf.quickstart"),
    *("scsampler_tf.paper", "scsampler_tf.transfer_scores"),
)


def modules() -> dict[str, Path]:
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imported(name: str) -> set[str]:
    """Full names of all modules that a module imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively; write the full name"
            names.add(node.module)
            names.update(full for alias in node.names if (full := f"{node.module}.{alias.name}") in MODULES)
    return names


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_the_walk_finds_the_floors():
    assert {"pipelines.clips", "scsampler_tf.models", "scsampler_tf.models.sampler", "tuning"} <= set(MODULES)
    assert "scsampler_tf.models.presets" in imported("scsampler_tf.models")


@pytest.mark.parametrize(
    ("floor", "forbidden"), [("pipelines", ("scsampler_tf", "tuning")), ("scsampler_tf", ("tuning",))]
)
def test_imports_point_down(floor, forbidden):
    wrong = [
        f"{name} imports {other}"
        for name in MODULES
        if within(name, floor)
        for other in sorted(imported(name))
        if within(other, *forbidden)
    ]
    assert not wrong


def test_the_method_needs_keras_and_numpy_only():
    method = {f"scsampler_tf.{name}" for name in METHOD}
    own = [name for name in MODULES if name in method or within(name, "scsampler_tf.models")]
    wrong = [
        f"{name} imports {other}"
        for name in own
        for other in sorted(imported(name))
        if not within(other, "keras", "numpy", *PLAIN_FLOOR)
        and other.split(".")[0] not in sys.stdlib_module_names
        and other not in own
        and other not in PLAIN_DATA
    ]
    assert len(own) > len(METHOD)
    assert not wrong


def test_tests_are_not_imported_by_the_application():
    assert not [name for name in MODULES if any(within(other, "tests") for other in imported(name))]


def test_commands_and_workers_start_without_tensorflow():
    program = "\n".join(
        [
            "import importlib, sys",
            f"for name in {WITHOUT_TENSORFLOW!r}:",
            "    importlib.import_module(name)",
            "    heavy = {'tensorflow', 'keras', 'tensorflow_io'} & set(sys.modules)",
            "    assert not heavy, f'{name} loads {sorted(heavy)}'",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_short_and_says_what_it_is(name):
    text = MODULES[name].read_text(encoding="utf-8")
    lines = len(text.splitlines())
    assert lines <= LONGEST, f"{name} has {lines} lines"
    assert ast.get_docstring(ast.parse(text)), f"{name} has no docstring"


def test_a_command_is_a_function_and_a_script():
    for name, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if "ArgumentParser(" in text and "def main(" in text:
            assert "def main(argv: list[str] | None = None) -> int:" in text, name
            assert 'if __name__ == "__main__":' in text, name
            assert "run_command(" in text, name

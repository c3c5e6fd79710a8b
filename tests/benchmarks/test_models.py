import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import keras_forward, models, network_cases, timing, torch_networks
from benchmarks.timing import Spent


def need_torchvision():
    reason = torch_networks.missing()
    if reason:
        pytest.skip(reason)


class Clock:
    """A machine whose pace is set from outside: work takes its seconds times that."""

    def __init__(self):
        self.now = self.processors = 0.0
        self.pace = 1.0

    def work(self, seconds, threads=1):
        def run():
            self.now += seconds * self.pace
            self.processors += seconds * threads

        return run


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    told = SimpleNamespace(perf_counter=lambda: found.now, process_time=lambda: found.processors)
    monkeypatch.setattr(timing, "time", told)
    return found


def test_all_have_their_turn_in_every_round_and_short_runs_are_repeated(clock):
    order = []

    def noted(name, run):
        return lambda: (order.append(name), run())

    spent = timing.turns(
        {"long": noted("l", clock.work(0.5, threads=2)), "short": noted("s", clock.work(0.02))}, rounds=2
    )
    # a first call and one to see how long it takes; then 0.05 s are three short ones
    assert "".join(order) == "ll" + "ss" + "lsss" * 2
    assert [tuple(each) for each in spent["long"]] == [pytest.approx((0.5, 1.0))] * 2
    assert timing.medians(spent["short"]) == pytest.approx((0.02, 0.02))


def test_a_budget_ends_after_three_rounds(clock):
    assert len(timing.turns({"long": clock.work(4.0)}, rounds=9, budget_s=1)["long"]) == 3
    assert len(timing.turns({"long": clock.work(4.0)}, rounds=9, budget_s=20)["long"]) == 5
    assert len(timing.turns({"long": clock.work(4.0)}, rounds=2, budget_s=1)["long"]) == 2


def test_ratios_are_against_the_same_round():
    base = [Spent(1.0, 2.0), Spent(10.0, 2.0), Spent(2.0, 2.0)]
    spent = [Spent(2.0, 2.0), Spent(20.0, 4.0), Spent(40.0, 1.0)]
    assert timing.ratio(spent, base) == (2.0, 1.0)
    assert timing.medians(base) == (2.0, 2.0)


def row(name, *ratios):
    titles = dict(zip(models.THEIRS, ratios, strict=False))
    return {
        "network": name,
        "batch": 8,
        "ratios": {title: {"clock_s": ratio, "processor_s": 9.0} for title, ratio in titles.items()},
    }


def test_slow_is_against_the_faster_form_of_pytorch():
    rows = [row("a", 0.9, 1.1), row("b", 0.7, 1.3), row("c", 1.21, 0.9), row("without")]
    assert models.slow(rows) == ["b in batches of 8: 1.30", "c in batches of 8: 1.21"]


def test_the_command_measures_and_writes(tmp_path, capsys):
    target = tmp_path / "figures.json"
    arguments = ["--quick", "--arch", "resnet_small", "--arch", "r2plus1d_small"]
    assert models.main([*arguments, "--only", "forward", "pairs", "--json", str(target)]) == 0
    found = json.loads(target.read_text())
    assert found["machine"]["backend"] == "tensorflow"
    assert [(row["network"], row["batch"]) for row in found["forward"]] == [
        (title, batch)
        for title in ("resnet_small, rgb_r 28x28x3", "r2plus1d_small, rgb 8x56x56x3")
        for batch in (1, 8)
    ]
    for row in found["forward"]:
        assert row["gflops_per_s"] == pytest.approx(row["gflops"] / row["ms"] * 1000)
        assert row["ratios"] == {}
    # 84.5 M multiply-adds of the classifier (models/presets.py), 3.17 M of a window of sound
    audio = found["pairs"][2]
    assert (audio["sampler"], audio["examples"]) == ("vgg_audio_small, log_mel 40x200x1", 1)
    assert audio["work_ratio"] == pytest.approx(84.5 / 3.17, rel=0.01)
    assert [each["examples"] for each in found["pairs"]] == [4, 2, 1] * 2  # md_frames, residual_frames
    assert [each["clips"] for each in found["pairs"]] == [1] * 3 + [8] * 3
    out = capsys.readouterr().out
    assert out.count("\n|---|") == 2
    assert "| resnet_small, rgb_r 28x28x3 | 8 |" in out


def test_without_pytorch_the_rest_is_measured(monkeypatch, capsys):
    monkeypatch.setattr(torch_networks.importlib.util, "find_spec", lambda name: None)
    assert models.main(["--quick", "--arch", "resnet_small"]) == 0
    out = capsys.readouterr().out
    assert "torch is not installed, so the columns of PyTorch are left out.\n" in out
    assert "time / PyTorch" not in out


def test_with_pytorch_both_layouts_are_compared_with():
    need_torchvision()
    case = network_cases.Case("resnet18", (32, 32, 3), "rgb")
    found = models.forward(case, 1, True, models.QUICK)
    assert list(found["ratios"]) == ["PyTorch", "PyTorch, channels last"]
    assert all(ratio["clock_s"] > 0 for ratio in found["ratios"].values())
    # motion has two channels, torchvision's network three
    motion = network_cases.Case("resnet18", (8, 8, 2), "md")
    assert models.forward(motion, 1, True, models.QUICK)["ratios"] == {}


@pytest.mark.parametrize("name", ["resnet18", "r2plus1d_18"])
def test_pytorch_gets_the_pictures_in_its_own_order(name):
    need_torchvision()
    import torch

    shape = (1, 32, 32, 3) if name == "resnet18" else (1, 4, 32, 32, 3)
    pictures = np.random.default_rng(0).random(shape, dtype=np.float32)
    found = []
    for channels_last in (False, True):
        torch.manual_seed(0)
        found.append(torch_networks.forward(name, 5, pictures, 1, channels_last)())
    assert found[0].shape == (1, 5)
    np.testing.assert_allclose(*found, rtol=1e-3, atol=1e-5)


def test_the_compiled_call_is_the_network():
    case = network_cases.Case("r2plus1d_small", (4, 16, 16, 3), "rgb")
    network, pictures = network_cases.build(case, 3), network_cases.pictures(case, 2)
    expected = network.predict(pictures, verbose=0)
    np.testing.assert_allclose(keras_forward.forward(network, pictures)(), expected, atol=1e-6)


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_other_backends(backend):
    pytest.importorskip(backend, reason=f"{backend} is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.models", "--quick", "--arch", "resnet_small"]
        + ["--backend", backend],
        env=os.environ | {"CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert f"backend {backend} - device cpu" in done.stdout
    assert "| resnet_small, rgb_r 28x28x3 | 8 |" in done.stdout


def test_a_network_without_a_case_is_taken_as_its_preset_has_it():
    assert [case.title for case in network_cases.chosen(["ir_csn_50", "ir_csn_50"])] == [
        "ir_csn_50, rgb 32x224x224x3"
    ]
    assert [case.inputs for case in network_cases.chosen(["resnet18"])] == ["rgb_r", "md"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--arch", "alexnet"], "error: --arch alexnet: no such network; known are r3d_18, "),
        (["--arch", "s3d", "--only", "pairs"], "error: --arch chooses networks of the section forward"),
    ],
)
def test_mistakes_are_told(arguments, message, capsys):
    assert models.main(arguments) == 2
    told = capsys.readouterr().err
    assert message in told
    assert told.count("\n") == 1


def test_a_backend_cannot_be_changed_or_be_missing(monkeypatch, capsys):
    import keras

    assert keras.backend.backend() == "tensorflow"
    monkeypatch.setattr(keras_forward.importlib.util, "find_spec", lambda name: object())
    assert models.main(["--quick", "--arch", "resnet_small", "--backend", "jax"]) == 2
    told = "error: --backend jax: Keras already runs on tensorflow; start the command anew\n"
    assert capsys.readouterr().err == told
    monkeypatch.setattr(keras_forward.importlib.util, "find_spec", lambda name: None)
    assert models.main(["--backend", "jax"]) == 2
    assert capsys.readouterr().err == "error: --backend jax: jax is not installed; install it beside Keras\n"

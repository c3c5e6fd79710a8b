import dataclasses
import importlib.util

import pytest

from pipelines.errors import UserError
from scsampler_tf.config import SamplerConfig
from tuning import trained
from tuning.options import TUNERS
from tuning.oracles import hyperparameters, make_oracle
from tuning.samplers import Diverged
from tuning.trained import Trainable, TrainedSpace
from tuning.tuner import SettingsTuner, open_tuner, require_packages

pytestmark = pytest.mark.filterwarnings(
    r"ignore:(currentThread|getName)\(\) is deprecated:DeprecationWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)
OWN = SamplerConfig(objective="sal_rank", epochs=9)
SPACE = TrainedSpace((Trainable("md", OWN), Trainable("audio", dataclasses.replace(OWN, margin=0.2))))
SMALL = TrainedSpace((Trainable("md", dataclasses.replace(OWN, objective="ac")),))


def score(values: dict, space=SPACE) -> dict:
    found = space.configs(values)
    return {"objective": sum(each.margin - each.learning_rate for each in found.values())}


def tried(tuner: SettingsTuner) -> list[dict]:
    return [tuner.oracle.trials[name].hyperparameters.values for name in tuner.oracle.start_order]


def search(kind, folder, trials, run=score, seed=0, space=SPACE) -> SettingsTuner:
    tuner = open_tuner(lambda: make_oracle(kind, space, trials, seed), run, folder)
    tuner.oracle.max_trials = trials
    tuner.search_settings(lambda: None)
    return tuner


def interrupted_after(count: int, error):
    calls = []

    def run(values):
        calls.append(values)
        if len(calls) > count:
            raise error
        return score(values)

    return run


def test_parameters_are_active_under_their_objective_only():
    space = hyperparameters(SMALL)
    active = {}
    for objective in ("ac", "sal_cl", "sal_rank"):
        space.values = {**{each.name: each.default for each in space.space}, "md.objective": objective}
        active[objective] = {each.name for each in space.space if space.is_active(each)} - {"md.objective"}
    assert active == {
        "ac": {"md.learning_rate"},
        "sal_cl": {"md.learning_rate", "md.ktr_fraction"},
        "sal_rank": {"md.learning_rate", "md.margin"},
    }


@pytest.mark.parametrize("kind", TUNERS)
def test_the_first_trial_are_the_runs_own_samplers(tmp_path, kind):
    first, *others = tried(search(kind, tmp_path / "search", 4))
    assert SPACE.configs(first) == {"md": OWN, "audio": SPACE.parts[1].own}
    assert len(others) == 3
    assert all(SPACE.configs(values) != SPACE.configs(first) for values in others)


@pytest.mark.parametrize("kind", ["random", "grid", "hyperband"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("broken")])
def test_interrupted_search_goes_on_as_if_it_had_not_been(tmp_path, kind, error):
    whole = search(kind, tmp_path / "whole", 9)
    with pytest.raises(type(error)):
        search(kind, tmp_path / "parts", 9, interrupted_after(4, error))
    rerun = []
    parts = search(kind, tmp_path / "parts", 9, lambda values: (rerun.append(values), score(values))[1])
    assert len(rerun) == 5  # the interrupted trial and those never begun
    assert tried(parts) == tried(whole)
    assert {trial.status for trial in parts.oracle.trials.values()} == {"COMPLETED"}


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_more_trials_later(tmp_path, kind):
    search(kind, tmp_path / "first", 3)
    longer = search(kind, tmp_path / "first", 12)
    assert tried(longer) == tried(search(kind, tmp_path / "whole", 12))


def test_seeds(tmp_path):
    first, again, other = (
        tried(search("random", tmp_path / name, 5, seed=seed))
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    )
    assert first == again != other


def test_grid_covers_the_space_and_stops(tmp_path):
    assert tried(search("grid", tmp_path / "grid", 100, space=SMALL)) == SMALL.parts[0].grid()


def test_hyperband_trains_the_best_of_each_round_longer(tmp_path):
    first, *others = tried(search("hyperband", tmp_path / "hyperband", 100))
    assert "tuner/epochs" not in first
    by_epochs = {}
    for values in others:
        by_epochs.setdefault(values["tuner/epochs"], []).append(values)
    # Brackets of 9 epochs in thirds: 1, 3 and 9 epochs.
    assert sorted(by_epochs) == [1, 3, 9]
    best = max(by_epochs[1], key=lambda values: score(values)["objective"])
    promoted = [values for values in by_epochs[3] if values["tuner/round"] == 1]
    names = [choice.name for part in SPACE.parts for choice in part.choices()]
    assert {name: best.get(name) for name in names} in [
        {name: values.get(name) for name in names} for values in promoted
    ]


@pytest.mark.slow
def test_bayesian_tries_nothing_twice_and_covers_a_small_space(tmp_path, monkeypatch):
    """Six sets: every proposal fits a Gaussian process, which takes seconds."""
    for name in ("MARGINS", "KTR_FRACTIONS"):
        monkeypatch.setattr(trained, name, ())
    monkeypatch.setattr(trained, "RATES", (1.0, 2.0))
    space = TrainedSpace((Trainable("md", dataclasses.replace(OWN, objective="ac")),))
    tuner = search("bayesian", tmp_path / "bayesian", 100, lambda values: score(values, space), space=space)
    assert sorted(map(str, map(space.configs, tried(tuner)))) == sorted(
        map(str, map(space.configs, space.parts[0].grid()))
    )
    assert len(tried(tuner)) == 6


@pytest.mark.parametrize("kind", TUNERS)
def test_nothing_to_train_is_one_trial(tmp_path, kind):
    empty = TrainedSpace(())
    tuner = search(kind, tmp_path / "search", 5, lambda values: {"objective": 1.0}, space=empty)
    assert len(tried(tuner)) == 1


def test_a_training_that_diverges_is_a_failed_trial(tmp_path):
    def run(values):
        if values["md.objective"] == "ac":
            raise Diverged("the loss is not a number")
        return score(values)

    tuner = search("grid", tmp_path / "grid", 12, run)
    statuses = [trial.status for trial in tuner.oracle.done()]
    assert len(statuses) == 12
    expected = ["FAILED" if values["md.objective"] == "ac" else "COMPLETED" for values in tried(tuner)]
    assert statuses == expected
    assert statuses.count("FAILED") == 4  # more in a row than Keras Tuner would bear


@pytest.mark.parametrize("name", ["oracle.json", "trial_1/trial.json", "tuner0.json"])
def test_torn_notes_begin_the_search_anew(tmp_path, name, capsys):
    whole = tried(search("random", tmp_path / "search", 4))
    torn = tmp_path / "search" / name
    torn.write_text(torn.read_text()[: min(40, len(torn.read_text()) // 2)])
    assert tried(search("random", tmp_path / "search", 4)) == whole
    assert "gone through again" in capsys.readouterr().out


def test_a_trial_unknown_to_the_oracle_begins_the_search_anew(tmp_path, capsys):
    search("random", tmp_path / "search", 4)
    notes = (tmp_path / "search" / "oracle.json").read_text()
    whole = tried(search("random", tmp_path / "search", 5))
    (tmp_path / "search" / "oracle.json").write_text(notes)
    assert tried(search("random", tmp_path / "search", 5)) == whole
    assert "gone through again" in capsys.readouterr().out


def test_objective_is_maximised(tmp_path):
    tuner = search("grid", tmp_path / "grid", 30)
    best = tuner.oracle.get_best_trials(1)[0]
    assert best.score == max(score(values)["objective"] for values in tried(tuner))


def test_a_worker_that_is_gone_leaves_its_trial_to_the_next(tmp_path):
    oracle = open_tuner(lambda: make_oracle("random", SPACE, 5, 0), score, tmp_path / "search").oracle
    first, second = oracle.create_trial("a"), oracle.create_trial("b")
    assert oracle.forget("a") == first.trial_id
    assert oracle.forget("a") is None
    assert oracle.create_trial("c").trial_id == first.trial_id
    assert set(oracle.ongoing_trials) == {"b", "c"}
    assert oracle.ongoing_trials["b"].trial_id == second.trial_id


def test_missing_packages(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name in ("sklearn", "grpc") else real(name)
    )
    require_packages("random", together=False)
    with pytest.raises(UserError, match=r"scikit-learn is not installed; run pip install"):
        require_packages("bayesian", together=False)
    with pytest.raises(UserError, match=r"grpcio is not installed"):
        require_packages("random", together=True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"keras-tuner is not installed"):
        require_packages("grid", together=False)

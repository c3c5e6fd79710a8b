"""What proposes the next samplers to train: Keras Tuner's oracles, each beginning with the run's own."""

import itertools
import random

import keras_tuner as kt

from tuning.trained import TrainedSpace

OBJECTIVE = "objective"
FACTOR = 3  # of Hyperband: each round keeps a third of the samplers and trains three times as long
DRAWS = 200  # of sets by chance, until one is new


class OwnFirst:
    """An oracle whose first trial are the run's own samplers, and which can forget a worker that is gone."""

    space: TrainedSpace

    def populate_space(self, trial_id: str) -> dict:
        """The run's own samplers, then what the oracle proposes."""
        if not self.start_order:
            return {"status": "RUNNING", "values": self.space.own_values()}
        return super().populate_space(trial_id)

    @kt.synchronized
    def forget(self, tuner_id: str) -> str | None:
        """Gives the trial of a worker that is gone to the next one; returns its number, None without."""
        self.tuner_ids.discard(tuner_id)
        trial = self.ongoing_trials.pop(tuner_id, None)
        if trial is None:
            return None
        self._retry_queue.append(trial.trial_id)
        return trial.trial_id

    @kt.synchronized
    def done(self) -> list:
        """The trials that have ended, in the order in which they began."""
        trials = [self.trials[name] for name in self.start_order]
        return [trial for trial in trials if trial.status in ("COMPLETED", "FAILED")]

    def tried(self) -> list[dict]:
        """The hyperparameters of all trials that were begun."""
        return [trial.hyperparameters.values for trial in self.trials.values()]


class RandomOracle(OwnFirst, kt.oracles.RandomSearchOracle):
    """Sets of hyperparameters by chance."""


class HyperbandOracle(OwnFirst, kt.oracles.HyperbandOracle):
    """Many short trainings, of which the best are made again with more epochs."""


class GridOracle(OwnFirst, kt.Oracle):
    """Every set of the space in its order.

    Keras Tuner's own grid keeps its place in memory only, so a search that is taken up again ends at once.
    """

    def populate_space(self, trial_id: str) -> dict:
        """The set after the last one that was begun."""
        values = next(itertools.islice(self.space.grid(), len(self.start_order), None), None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


class BayesianOracle(OwnFirst, kt.oracles.BayesianOptimizationOracle):
    """Keras Tuner's Gaussian process; where it proposes a set again, one by chance that is new."""

    def populate_space(self, trial_id: str) -> dict:
        """The most promising set that was not tried."""
        response = super().populate_space(trial_id)
        if response["status"] == "STOPPED" or response.get("values") is None:
            return response
        tried = [self.space.configs(values) for values in self.tried()]
        if self.space.configs(response["values"]) not in tried:
            return response
        chance = random.Random(f"{self.seed}-{trial_id}")
        parts = [part.grid() for part in self.space.parts]
        for _ in range(DRAWS):
            drawn = [chance.choice(grid) for grid in parts]
            values = {name: value for each in drawn for name, value in each.items()}
            if self.space.configs(values) not in tried:
                return {"status": "RUNNING", "values": values}
        new = (values for values in self.space.grid() if self.space.configs(values) not in tried)
        values = next(new, None)
        return {"status": "STOPPED"} if values is None else {"status": "RUNNING", "values": values}


def hyperparameters(space: TrainedSpace) -> kt.HyperParameters:
    """The space in Keras Tuner's words, each parameter under the objective for which it matters."""
    found = kt.HyperParameters()
    for part in space.parts:
        for choice in part.choices():
            under = {}
            if choice.under is not None:
                under = {"parent_name": f"{part.kind}.objective", "parent_values": [choice.under]}
            found.Choice(choice.name, list(choice.values), default=choice.default, **under)
    return found


def make_oracle(kind: str, space: TrainedSpace, max_trials: int | None, seed: int) -> kt.Oracle:
    """One of `options.TUNERS`. Hyperband ends by itself, or after `max_trials`."""
    options = {
        "objective": kt.Objective(OBJECTIVE, "max"),
        "hyperparameters": hyperparameters(space),
        "allow_new_entries": False,
        "seed": seed + 1,  # Keras Tuner takes 0 for no seed
        "max_consecutive_failed_trials": 1 << 30,  # samplers that diverge are no reason to end
    }
    if kind == "hyperband":
        oracle = HyperbandOracle(max_epochs=space.epochs, factor=FACTOR, **options)
        oracle.max_trials = max_trials
    else:
        kinds = {"random": RandomOracle, "bayesian": BayesianOracle, "grid": GridOracle}
        if kind == "bayesian":
            options["num_initial_points"] = 3 + 2 * len(space.parts)  # trials cost trainings
        oracle = kinds[kind](max_trials=max_trials, **options)
    oracle.space = space
    return oracle

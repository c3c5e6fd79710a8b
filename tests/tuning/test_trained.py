import dataclasses
import itertools

from scsampler_tf.config import SamplerConfig
from tuning.trained import Trainable, TrainedSpace

OWN = SamplerConfig(objective="sal_rank", margin=0.1, learning_rate=2e-3, epochs=9, warmup_epochs=1)
MD, AUDIO = Trainable("md", OWN), Trainable("audio", dataclasses.replace(OWN, objective="ac", margin=0.3))


def test_values_of_each_hyperparameter_hold_the_runs_own():
    found = {choice.name: (choice.values, choice.default, choice.under) for choice in MD.choices()}
    assert found == {
        "md.objective": (("ac", "sal_cl", "sal_rank"), "sal_rank", None),
        "md.margin": ((0.0, 0.05, 0.1, 0.2, 0.4), 0.1, "sal_rank"),
        "md.ktr_fraction": ((0.125, 0.25, 0.5, 0.75), 0.5, "sal_cl"),
        "md.learning_rate": ((5e-4, 1e-3, 2e-3, 4e-3), 2e-3, None),
    }
    assert {c.name: c.values for c in AUDIO.choices()}["audio.margin"] == (
        0.0,
        0.05,
        0.1,
        0.2,
        0.3,
        0.4,
    )


def test_what_does_not_matter_stays_the_runs_own():
    values = {"md.objective": "sal_cl", "md.margin": 0.4, "md.ktr_fraction": 0.25, "md.learning_rate": 1e-3}
    expected = dataclasses.replace(OWN, objective="sal_cl", ktr_fraction=0.25, learning_rate=1e-3)
    assert MD.config(values) == expected
    assert MD.config({**values, "md.margin": 0.0}) == expected
    assert MD.config(MD.own_values()) == OWN
    assert AUDIO.own_values() == {"audio.objective": "ac", "audio.learning_rate": 2e-3}


def test_grid_has_every_sampler_once_the_runs_own_first():
    found = [MD.config(values) for values in MD.grid()]
    assert found[0] == OWN
    # 4 rates alone (ac), with 4 shares (sal_cl), with 5 margins (sal_rank).
    assert len(set(found)) == len(found) == 4 + 16 + 20


def test_grid_changes_one_sampler_before_two():
    space = TrainedSpace((MD, AUDIO))
    assert space.size() == 40 * 44
    changed = [
        sum(
            config != part.own
            for part, config in zip(space.parts, space.configs(values).values(), strict=True)
        )
        for values in itertools.islice(space.grid(), 1 + 39 + 43 + 1)
    ]
    assert changed == [0] + [1] * (39 + 43) + [2]
    assert next(space.grid()) == space.own_values()


def test_fewer_epochs_are_a_share_of_each_samplers_own():
    short = Trainable("audio", dataclasses.replace(OWN, epochs=6, warmup_epochs=2))
    space = TrainedSpace((MD, short))
    assert space.epochs == 9
    found = space.configs({**space.own_values(), "tuner/epochs": 3})
    assert (found["md"].epochs, found["audio"].epochs) == (3, 2)
    assert (found["md"].warmup_epochs, found["audio"].warmup_epochs) == (1, 1)
    assert space.configs({**space.own_values(), "tuner/epochs": 9}) == {"md": OWN, "audio": short.own}
    assert space.configs({**space.own_values(), "tuner/epochs": 1})["md"].warmup_epochs == 0


def test_nothing_to_train_is_one_set():
    space = TrainedSpace(())
    assert (space.size(), list(space.grid()), space.configs({})) == (1, [{}], {})

"""A run made by hand: four videos of two classes with the scores of test_methods.py."""

from pathlib import Path

import numpy as np

from pipelines.index import FeatureIndex
from pipelines.settings import FeatureSettings
from scsampler_tf.config import ExperimentConfig, SelectionConfig
from scsampler_tf.cost import Sampler
from scsampler_tf.experiments.run import Run, measured_seconds
from scsampler_tf.methods import Costs
from scsampler_tf.tables import ScoreTable
from scsampler_tf.workdir import Workdir
from tests.scsampler_tf.records import two_class_set

NAN = np.nan
LABELS = [0, 1, 0, 1]
TRUE = [[0.9, 0.2, 0.3, 0.2], [0.6, 0.7, 0.1], [0.3, 0.4], [0.8]]
VISUAL = [[0.9, 0.1, 0.5, 0.2], [0.2, 0.3, 0.9], [0.4, 0.4], [0.1]]
AUDIO = [[0.1, 0.8, 0.2, 0.3], [0.5, 0.4, NAN], [NAN, NAN], [0.7]]
LENGTHS = np.array([4, 3, 2, 1])
COSTS = Costs(2e9, {"md": Sampler(1e8, 2), "rgb_r": Sampler(3e8, 1), "audio": Sampler(1e8, 1)})


def hand_run(visual=VISUAL, audio=AUDIO, draws=3, device=None, data=None, **selection) -> Run:
    """The run with K=2, K'=1 unless told otherwise; with a `device`, networks take 1, 2, 3 and 4 s a clip."""
    data = data or two_class_set(LABELS, TRUE, visual, audio)
    config = ExperimentConfig(selection=SelectionConfig(**{"K": 2, "K_prime": 1, **selection}))
    senses = {"md": visual, "rgb_r": visual, "audio": audio}
    kinds = ["classifier", *(kind for kind, sense in senses.items() if sense is not None)]
    tables = {
        kind: ScoreTable(
            kind,
            {},
            {"network": f"{kind}-1", "objective": None if kind == "classifier" else "ac"},
            {"seconds_per_clip": place + 1.0, "clips": 9, "device": device} if device else {},
        )
        for place, kind in enumerate(kinds)
    }
    costs = Costs(2e9, {kind: COSTS.samplers[kind] for kind in kinds[1:]}, measured_seconds(tables))
    index = FeatureIndex(Path("features"), FeatureSettings(clip_frames=10), ["a", "b"], data.videos, [], "")
    return Run(Workdir(Path("runs/hand")), config, index, tables, "test", draws, data, None, costs)

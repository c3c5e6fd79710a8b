import dataclasses

import numpy as np
import pytest

from pipelines.clips import plan_clips  # noqa: F401  (imported for its absence of TensorFlow)

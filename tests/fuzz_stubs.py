"""Stand for examinations that go wrong; workers of their own import them."""

import os
import signal
import time
from pathlib import Path
from unittest import mock

import numpy as np

from tests import fuzz_worker
from tests.fuzz_checks import Outcome
from tests.fuzz_damage import Case
from tests.fuzz_worker import Report, report_case


def dies_of_three(damage: Case, case: int, folder: Path) -> Report:
    """The decoder crashes on case 3 and runs in circles on case 5."""
    if case == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == 5:
        time.sleep(100)
    return report_case(damage, case, folder)


def grows_on_two(damage: Case, case: int, folder: Path) -> Report:
    """The decoder fills twice the memory it may on case 2, a tenth of it on the others, and frees it."""
    share = 2 if case == 2 else 0.1

    def examine(*_: object) -> Outcome:
        return Outcome("whole", len(np.ones(int(share * fuzz_worker.MOST_GROWTH_MB * 2**20), np.uint8)))

    with mock.patch.object(fuzz_worker, "examine", examine):
        return report_case(damage, case, folder)

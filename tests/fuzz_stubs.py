"""Stand for examinations that go wrong; workers of their own import them."""

import os
import signal
import time
from pathlib import Path

from tests.fuzz_damage import Case
from tests.fuzz_worker import Report, report_case


def dies_of_three(damage: Case, case: int, folder: Path) -> Report:
    """The decoder crashes on case 3 and runs in circles on case 5."""
    if case == 3:
        os.kill(os.getpid(), signal.SIGSEGV)
    if case == 5:
        time.sleep(100)
    return report_case(damage, case, folder)

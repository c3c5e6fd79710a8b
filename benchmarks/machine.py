"""Where and when a benchmark ran: without it a figure says nothing."""

import datetime
import os
import platform


def machine(**more: str) -> dict:
    """Date, machine and Python, then what else the figures depend on, such as versions."""
    return {
        "date": datetime.date.today().isoformat(),
        "processors": os.cpu_count(),
        "kind": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **more,
    }


def usable_cores() -> int:
    """Processors that this process may run on, which `taskset` can limit."""
    if hasattr(os, "sched_getaffinity"):  # Linux alone has it
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1

"""Mistakes of the user, told in one sentence instead of a traceback."""

import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can mend. The message names the file or setting, what is wrong and what to do."""

    exit_code = 2


class VideoError(UserError):
    """A video that cannot be used: unreadable, without pictures, or shorter than one clip."""


class LostWorker(UserError):
    """Another process of several is missing, so that this one cannot go on; the same may work later."""

    exit_code = 75  # "temporary failure" among the codes of sysexits.h


def run_command(body: Callable[[], int | None], again: str = "the same command goes on from here") -> int:
    """Runs the body of a command and turns a user's mistake into one line on stderr.

    Returns the exit code: that of `body` (None counts as 0), 2 for a `UserError` that says no other, 130 for
    Ctrl-C, of which `again` says what giving the same command again does.
    """
    # TensorFlow's start-up chatter would bury the one sentence; whoever wants it sets the variable.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        return body() or 0
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print(f"interrupted; {again}", file=sys.stderr)
        return 130

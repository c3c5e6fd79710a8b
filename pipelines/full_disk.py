"""A disk that takes no more, told in one sentence."""

import errno
from pathlib import Path

from pipelines.errors import UserError

REASONS = {
    errno.ENOSPC: "the disk is full; make room there",
    errno.EDQUOT: "your share of the disk is used up; make room there",
    errno.EFBIG: "a file may not become that large; raise the limit (ulimit -f)",
    errno.EROFS: "the disk has become read-only; mend that",
    errno.EIO: "the disk does not answer; mend that",
}
FULL = "No space left on device"  # what TensorFlow's own writers have in place of a number


def full_disk(error: BaseException, folder: str | Path) -> UserError | None:
    """The sentence for an error of writing below `folder`, None for one that is about something else.

    What was there before is whole: files get their names when they are finished (`files.written_whole`).
    """
    reason = REASONS.get(error.errno) if isinstance(error, OSError) else None
    if reason is None and FULL in str(error):
        reason = REASONS[errno.ENOSPC]
    if reason is None:
        return None
    return UserError(f"{folder}: {reason}, and give the same command again, which goes on from here")

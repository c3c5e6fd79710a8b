"""What goes wrong in a picture is a printed line and never the end of a training."""

import re
import sys
from collections.abc import Callable

LONGEST = 200  # letters of an error that are told
GRAPH = re.compile(r"\{\{.*?\}\} *")  # where in its graph TensorFlow met an error


class Guard:
    """Calls functions, and tells of what they raise; each line once, for a full disk is full every epoch."""

    def __init__(self) -> None:
        self._said: set[str] = set()

    def __call__(self, name: str, function: Callable, *arguments) -> None:
        """`function(*arguments)`; `name` says what there is none of if it raises."""
        try:
            function(*arguments)
        except Exception as error:  # whatever it was: a picture must not cost a training
            self.say(name, error)

    def say(self, name: str, error: Exception) -> None:
        """Prints what there is none of, and why."""
        reason = (GRAPH.sub("", str(error)).strip() or type(error).__name__).splitlines()[0][:LONGEST]
        line = f"TensorBoard: no {name}: {reason}; the training goes on"
        if line not in self._said:
            self._said.add(line)
            print(line, file=sys.stderr, flush=True)

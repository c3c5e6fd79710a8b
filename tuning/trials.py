"""The trials of one search: which are left, and what is noted as soon as one is done."""

import hashlib
import json
import time

from pipelines.files import make_folder
from tuning.hparams import write_space, write_trial
from tuning.report import OWN, Row, best_file, best_of, line, summary, write_report
from tuning.spaces import HEARING, Space
from tuning.study import Study, row_of
from tuning.tuner import make_oracle, open_tuner

REPORT_EVERY_S = 2.0


class Trials:
    """One search in WORKDIR/tuning. `about` holds what makes it another search: tuner, seed and space."""

    def __init__(self, study: Study, space: Space, about: dict, max_trials: int):
        self._study, self._space, self._about, self._max = study, space, about, max_trials
        self._folder = make_folder(study.workdir.path / "tuning")
        project = self._folder / project_name(about, study.made_by)
        self._logs = self._folder / "logs" / project.name
        self._tuner = open_tuner(
            lambda: make_oracle(about["tuner"], space, max_trials, about["seed"]),
            lambda values: study.metrics(space.setting(values)),
            project,
        )
        self._written = 0.0

    def run(self) -> dict:
        """Runs the trials that are left and returns what best.json holds."""
        own, oracle = self._space.own_setting(), self._tuner.oracle
        trials = [oracle.trials[name] for name in oracle.start_order]
        done = [row_of(trial, self._space) for trial in trials if trial.status == "COMPLETED"]
        rows = [Row(OWN, own, self._study.assess(own)), *done]
        write_space(self._logs, self._space)
        write_trial(self._logs, rows[0])
        self._say(opening(self._space, len(done), self._max, self._videos))
        try:
            self._tuner.search_settings(lambda trial: self._note(rows, row_of(trial, self._space)))
        finally:
            best = self._report(rows)
        if len(rows) - 1 < self._max:
            self._say(f"the tuner found nothing new to try after {len(rows) - 1} trials")
        self._say(summary(rows, self._folder, self._study.workdir.path, self._videos))
        return best

    @property
    def _videos(self) -> int:
        return len(self._study.validation.videos)

    def _note(self, rows: list[Row], row: Row) -> None:
        """Adds a trial that is done to `rows` and writes it down."""
        rows.append(row)
        write_trial(self._logs, row)
        if time.monotonic() - self._written > REPORT_EVERY_S:
            self._report(rows)
            self._written = time.monotonic()
        best = best_of(rows).assessment.accuracy
        self._say(f"trial {len(rows) - 1}/{self._max}: {line(row)} (best {best:.1%})")

    def _report(self, rows: list[Row]) -> dict:
        setting = best_of(rows).setting
        heard = setting.selection.fusion in HEARING and self._study.validation.audio is not None
        place = self._study.samplers.place(setting.margin) if heard else None
        best = best_file(rows, place, self._videos, self._about)
        write_report(self._folder, rows, best)
        return best

    def _say(self, text: str) -> None:
        if not self._study.quiet:
            print(text, flush=True)


def project_name(about: dict, made_by: dict) -> str:
    """The folder of a search: other options, another space or other networks are another search."""
    text = json.dumps({**about, "made_by": made_by}, sort_keys=True)
    return f"{about['tuner']}-seed{about['seed']}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def opening(space: Space, done: int, max_trials: int, videos: int) -> str:
    """What a search is about to do."""
    trained = f"; margins {', '.join(f'{each:g}' for each in space.margins)}" if space.margins else ""
    return (
        f"{videos} validation videos; {len(space.grid())} settings of {', '.join(space.schemes)}; "
        f"K {', '.join(map(str, space.clips))}; stride {', '.join(map(str, space.strides))}{trained}\n"
        f"{done} of {max_trials} trials are done"
    )

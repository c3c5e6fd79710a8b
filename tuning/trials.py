"""The trials of one search: which are left, and what is written down as soon as one is done."""

import hashlib
import json
import time

from pipelines.files import make_folder, write_json, write_text
from tuning import held_out, team
from tuning.front import knee_of, write_front
from tuning.hparams import write_space, write_trial
from tuning.mixing import mixed
from tuning.oracles import make_oracle
from tuning.pruning import prune
from tuning.rows import Explored, Report, Row, best_of, front_of
from tuning.settings_file import settings_file
from tuning.study import Study
from tuning.summary import note, opening, summary
from tuning.tables import as_csv, as_markdown, line
from tuning.tuner import Enough, open_tuner, open_worker

REPORT_EVERY_S = 2.0
MEANWHILE = 4  # times as many networks are kept until the search is at its end
FOLDER = "tuning"


class Trials:
    """One search in WORKDIR/tuning, in this process or together with others."""

    def __init__(self, study: Study, role: team.Role | None):
        self._study, self._options, self._role = study, study.options, role
        own = {part.kind: vars(part.own) for part in study.space.parts}
        self._about = {**study.options.about(), "train": own}
        free = [vars(setting) for setting in study.settings]
        name = project_name(self._about, free, study.made_by)
        self._folder = make_folder(study.workdir.path / FOLDER)
        self._project = make_folder(self._folder / name)
        self._logs = self._folder / "logs" / name
        self._explored: dict[str, Explored] = {}
        self._failed: set[str] = set()
        self._written = float("-inf")
        study.claims_in(self._project / "trained")

    def work(self) -> None:
        """Runs the trials that a chief gives out, until it has no more."""
        import grpc

        beats = self._project / "beats"
        tuner = open_worker(self._make, self._study.metrics, self._project / "workers" / self._role.name)
        self._say(f"worker {self._role.name}: asks {self._role.address} for trials")
        try:
            with team.beating(beats, self._role.name):
                tuner.search_settings(lambda: None)
        except Enough as reason:
            self._say(f"worker {self._role.name}: {reason}")
        except grpc.RpcError as error:
            raise team.gone(self._role, error) from None

    def run(self) -> dict:
        """Runs the trials that are left and returns what best.json holds."""
        with team.alone():  # the oracle is in this process, also for a chief
            tuner = open_tuner(self._make, self._study.metrics, self._project / "notes")
        self._oracle, study = tuner.oracle, self._study
        self._oracle.max_trials = self._options.max_trials
        self._own = study.own_row()
        write_space(self._logs, study.free, study.space)
        self._say(opening(study, len(self._oracle.done()), self._options))
        self._note()
        reason = ""
        try:
            if self._role is not None:
                tuner.save()
                beats = team.Beats(self._project / "beats", self._options.lost_after)
                team.lead(self._oracle, self._role, beats, self._note, study.deadline.over, self._say)
            with team.alone():
                study.deadline.check()
                tuner.search_settings(self._note)
        except Enough as enough:
            reason = f"{enough}; a larger number goes on with this search"
        if not self._explored:
            self._explored["001"] = study.explore("001", study.samplers_of(study.space.own_values()))
        return self._finish(reason)

    def _make(self):
        options = self._options
        return make_oracle(options.tuner, self._study.space, options.max_trials, options.seed)

    def _finish(self, reason: str) -> dict:
        """Tries what costs no training, looks at the test videos, and tells what came of it all."""
        study, found = self._study, self._found()
        if not reason and len(self._oracle.done()) < self._options.max_trials:
            reason = f"the tuner found nothing new to try after {len(self._oracle.done())} trials"
        if reason:
            self._say(reason)
        more, left_out = mixed(study, found, self._options.combinations)
        report = self._write(found + more, left_out)
        prune(study, [report.best, report.knee], [*report.front, *report.rows], self._options.keep)
        study.forget_assessed()
        looked = None
        if self._options.test:
            looked = held_out.look(study, {"best": report.best, "knee": report.knee}, self._own, self._folder)
        self._say(summary(study, report, looked, self._folder))
        return settings_file(study, report.best, self._about)

    def _note(self) -> None:
        """Takes in trials that have ended, and tells of them."""
        for trial in self._oracle.done():
            name = f"{int(trial.trial_id) + 1:03d}"
            if name in self._explored or name in self._failed:
                continue
            number = f"trial {name}/{self._options.max_trials:03d}"
            if trial.status == "FAILED":
                self._failed.add(name)
                self._say(f"{number}: its training diverged")
                continue
            samplers = self._study.samplers_of(trial.hyperparameters.values)
            self._explored[name] = self._study.explore(name, samplers)
            row = self._explored[name].best()
            write_trial(self._logs, row)
            self._say(f"{number}: {line(row, self._study.own)}")
        if time.monotonic() - self._written > REPORT_EVERY_S and self._explored:
            report = self._write(self._found())
            # A combination of samplers that is tried at the end may need any of these networks.
            bound = MEANWHILE * self._options.keep
            prune(self._study, [report.best, report.knee], report.rows, bound)
            self._written = time.monotonic()

    def _found(self) -> list[Explored]:
        """What the trials have explored, in their order, whoever was faster."""
        return [self._explored[name] for name in sorted(self._explored)]

    def _write(self, found: list[Explored], left_out: int = 0) -> Report:
        """Writes all files of what was explored, and lets go of networks that are not needed."""
        study, folder = self._study, self._folder
        rows = [self._own, *(each.best() for each in found)]
        best, front = best_of(rows if self._options.max_gflops is None else rows[1:]), front_of(found)
        text = note(study, found, len(self._failed), left_out)
        report = Report(rows, best, knee_of(study, front), front, text)
        for name in ("best", "knee"):
            content = settings_file(study, getattr(report, name), self._about)
            write_json(folder / f"{name}.json", content)
        self._write_front(front, {"best": best, "knee": report.knee, "own": self._own})
        kinds = [part.kind for part in study.space.parts]
        write_text(folder / "trials.csv", as_csv(rows, kinds))
        write_text(folder / "trials.md", as_markdown(rows, study.own, text))
        return report

    def _write_front(self, front: list[Row], marked: dict[str, Row]) -> None:
        folder = make_folder(self._folder / "front")
        for number, row in enumerate(front, 1):
            write_json(folder / f"{number:02d}.json", settings_file(self._study, row, self._about))
        for path in folder.glob("*.json"):
            if not path.stem.isdigit() or not 1 <= int(path.stem) <= len(front):
                path.unlink()
        write_front(self._folder, self._study, front, marked)

    def _say(self, text: str) -> None:
        if not self._options.quiet:
            print(text, flush=True)


def project_name(about: dict, settings: list[dict], made_by: dict) -> str:
    """The folder of a search: other options, another space or other networks are another search."""
    text = json.dumps({**about, "settings": settings, "made_by": made_by}, sort_keys=True)
    return f"{about['tuner']}-seed{about['seed']}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"

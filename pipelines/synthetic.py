"""Makes a small labelled set of untrimmed videos: real encoded files with pictures, sound and a manifest.

python -m pipelines.synthetic --out DIR --videos 130 --seed 7 --workers 2
"""

import argparse
import csv
import sys
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from tqdm import tqdm

from pipelines.errors import UserError, run_command
from pipelines.files import make_folder, read_json, remove_parts, write_json, written_whole
from pipelines.synthetic_plan import ACTIONS, FPS, HEIGHT, WIDTH, VideoPlan, plan_video
from pipelines.synthetic_scenes import render
from pipelines.synthetic_sound import RATE, render_sound
from pipelines.workers import WorkerCrash, run_jobs

RECIPE = 4  # goes up whenever the same seed gives other files
MANIFEST, ABOUT, FOLDER = "manifest.csv", "synthetic.json", "videos"
COLUMNS = ("path", "label", "split", "action_segments", "duration_s", "fps", "frames", "has_audio")
AUDIO_BLOCK = 1024  # samples an AAC frame takes


def make_set(out: str | Path, videos: int, seed: int, workers: int = 2, quiet: bool = False) -> Path:
    """Makes the set in folder `out`, keeping the files it already has, and returns the manifest's path.

    The videos are in `out`/videos; the manifest's columns are path, label, split, action_segments (seconds),
    duration_s, fps, frames and has_audio. The same seed gives the same bytes, and more videos extend a set.
    Raises `UserError` for fewer videos than classes, a bad seed or number of workers, and a folder that
    cannot be written or holds something else.
    """
    out = Path(out)
    _check(videos, seed, workers)
    make_folder(out)
    _claim(out, videos, seed)
    folder = make_folder(out / FOLDER)
    plans = [plan_video(seed, index) for index in range(videos)]
    remove_parts(out)
    _write_missing(plans, folder, workers, quiet)
    return _write_manifest(out, plans)


def file_name(plan: VideoPlan) -> str:
    """The file's name, which says nothing about its class."""
    return f"video_{plan.index:05d}.mp4"


def _check(videos: int, seed: int, workers: int) -> None:
    if videos < len(ACTIONS):
        raise UserError(f"--videos: {videos} is too few; the {len(ACTIONS)} classes need one each")
    if seed < 0:
        raise UserError(f"--seed: {seed} is negative; use 0 or more")
    if workers < 1:
        raise UserError(f"--workers: {workers} is not a positive number")


def _claim(out: Path, videos: int, seed: int) -> None:
    """Writes down how the set in `out` is made, or refuses when another one is there already."""
    about = {"recipe": RECIPE, "seed": seed, "videos": videos}
    if (out / ABOUT).exists():
        found = read_json(out / ABOUT)
        if not isinstance(found, dict) or {**found, "videos": 0} != {**about, "videos": 0}:
            raise UserError(
                f"{out}: holds a set made otherwise ({found}), not {about}; choose another folder"
            )
        if not isinstance(count := found.get("videos"), int) or count > videos:
            raise UserError(f"{out}: holds {count} videos; ask for as many or more, or another folder")
    elif (out / MANIFEST).exists():
        raise UserError(f"{out}: has a {MANIFEST} that is not of this command; choose another folder")
    write_json(out / ABOUT, about)


def _write_missing(plans: list[VideoPlan], folder: Path, workers: int, quiet: bool) -> None:
    jobs = [(plan, folder / file_name(plan)) for plan in plans]
    missing = [job for job in jobs if not job[1].exists()]
    # One worker needs no process of its own: starting it costs more than a small set.
    processes = min(workers, len(missing)) if workers > 1 else 0
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), unit="video", disable=quiet) as bar:
        for (_, path), result in run_jobs(_write_job, missing, processes):
            if isinstance(result, WorkerCrash):
                raise UserError(f"{path}: the encoder crashed; run the same command again")
            bar.update()


def _write_job(job: tuple[VideoPlan, Path]) -> None:
    write_video(*job)


def write_video(plan: VideoPlan, path: Path) -> None:
    """Draws and encodes one video; the file appears whole. The same plan gives the same bytes."""
    try:
        with written_whole(path) as temporary:
            _encode(plan, temporary)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error}); free some space or choose another folder"
        ) from error


def _encode(plan: VideoPlan, path: Path) -> None:
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        video = _video_stream(container, plan)
        sound = _audio_stream(container) if plan.has_audio else None
        blocks = _audio_blocks(render_sound(plan)) if sound else iter(())
        for number, picture in enumerate(render(plan)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
            if sound:
                _encode_sound(container, sound, blocks, until=round((number + 1) * RATE / FPS))
        container.mux(video.encode(None))
        if sound:
            _encode_sound(container, sound, blocks, until=None)
            container.mux(sound.encode(None))


def _video_stream(container: av.container.OutputContainer, plan: VideoPlan) -> av.VideoStream:
    """The encoder: of H.264 one with three B-frames and rare key frames, or one without; or MPEG-4 part 2."""
    rng = np.random.default_rng([*plan.seed, 6])
    if plan.codec == "h264":
        # x264's fastest kernels read uninitialised memory on some processors: the same pictures, other bytes
        options = {"preset": "veryfast", "crf": str(rng.integers(19, 26)), "x264-params": "cpu-independent=1"}
        options |= {"bf": "3", "g": "250"} if plan.b_frames else {"bf": "0", "g": "30"}
    else:
        quality = str(rng.integers(3, 6))
        options = {"qmin": quality, "qmax": quality, "g": "12", "bf": "0"}
    name = "libx264" if plan.codec == "h264" else "mpeg4"
    stream = container.add_stream(name, rate=FPS, options={**options, "threads": "1", "flags": "+bitexact"})
    stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
    return stream


def _audio_stream(container: av.container.OutputContainer) -> av.AudioStream:
    options = {"aac_coder": "fast", "flags": "+bitexact"}
    stream = container.add_stream("aac", rate=RATE, layout="mono", options=options)
    stream.bit_rate = 40_000
    return stream


def _audio_blocks(track: np.ndarray) -> Iterator[av.AudioFrame]:
    for start in range(0, len(track), AUDIO_BLOCK):
        frame = av.AudioFrame.from_ndarray(
            track[None, start : start + AUDIO_BLOCK], format="fltp", layout="mono"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, start, Fraction(1, RATE)
        yield frame


def _encode_sound(
    container, stream: av.AudioStream, blocks: Iterable[av.AudioFrame], until: int | None
) -> None:
    """Encodes blocks up to sample `until`, so that pictures and sound lie side by side in the file."""
    for frame in blocks:
        container.mux(stream.encode(frame))
        if until is not None and frame.pts + frame.samples >= until:
            return


def _write_manifest(out: Path, plans: list[VideoPlan]) -> Path:
    path = out / MANIFEST
    with written_whole(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(_row(plan) for plan in plans)
    return path


def _row(plan: VideoPlan) -> tuple:
    segments = ";".join(f"{round(start, 6)}-{round(end, 6)}" for start, end in plan.action_segments)
    name, duration = f"{FOLDER}/{file_name(plan)}", round(plan.duration_s, 6)
    return name, plan.label, plan.split, segments, duration, FPS, plan.frames, int(plan.has_audio)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.synthetic", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--out", required=True, help="folder of the set")
    parser.add_argument("--videos", type=int, default=130, help="how many (default 130)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same files")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    arguments = parser.parse_args(argv)

    def body() -> None:
        manifest = make_set(arguments.out, arguments.videos, arguments.seed, arguments.workers)
        print(manifest)

    return run_command(body)


if __name__ == "__main__":
    sys.exit(main())

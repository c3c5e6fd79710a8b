"""Memory of an hour against minutes, and two workers against one."""

import csv
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipelines.compressed import CompressedVideo
from pipelines.prepare import prepare
from pipelines.settings import FeatureSettings

FILES = 20


def memory(paths: list[Path]) -> list[dict]:
    """Peak memory in MB of extracting the features of each file, each in a process of its own."""
    rows = []
    for path in paths:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.scale", str(path)], capture_output=True, text=True, check=True
        )
        frames, peak_mb, seconds = done.stdout.split()
        row = {"file": path.name, "frames": int(frames), "peak_mb": float(peak_mb), "seconds": float(seconds)}
        rows.append(row)
    return rows


def workers(path: Path, counts: tuple[int, ...] = (1, 2)) -> dict:
    """Seconds that `prepare` takes for 20 copies of a file with one worker and with two, by the clock."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, "manifest.csv")
        with manifest.open("w", newline="") as handle:
            writer = csv.writer(handle)
            writer.writerow(["path", "label", "split"])
            for number in range(FILES):
                copy = Path(folder, f"{number}{path.suffix}")
                shutil.copyfile(path, copy)  # a link would count as the same video
                writer.writerow([copy.name, f"label {number % 2}", "train" if number % 4 else "val"])
        seconds = {}
        for count in counts:
            start = time.perf_counter()
            index = prepare(manifest, Path(folder, f"out{count}"), FeatureSettings(), count, quiet=True)
            seconds[str(count)] = time.perf_counter() - start
            assert len(index.videos) == FILES
    return {
        "file": path.name,
        "files": FILES,
        "seconds": seconds,
        "times_faster": seconds["1"] / seconds["2"],
    }


def main(path: str) -> None:
    """Extracts a file's features and prints frames, peak memory in MB and seconds."""
    start = time.perf_counter()
    video = CompressedVideo(path, FeatureSettings())
    for _ in video.clips():
        pass
    print(video.timing.count, round(_peak_mb(), 1), round(time.perf_counter() - start, 1))


def _peak_mb() -> float:
    """Peak memory of this process in MB."""
    status = Path("/proc/self/status")
    if status.exists():  # getrusage would count what the process that started this one held
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(sys.argv[1])

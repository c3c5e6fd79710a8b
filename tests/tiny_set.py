"""Nine small real videos with a manifest: two classes told apart by the direction of a pan."""

from pathlib import Path

from tests import media

FRAMES = 90  # of 25 a second; clips of 16 frames: five whole ones and a tail that makes a sixth
CLIPS = 6
STEPS = {"left": (-3, 0), "right": (3, 0)}
SILENT = ("left_0", "test_silent")
SPLITS = ("train", "train", "val", "test")


def make_tiny_set(folder: Path) -> Path:
    """Writes the videos and returns the manifest; the middle second of each is its action."""
    folder.mkdir(parents=True)
    rows = ["path,label,split,action_segments"]
    for label in STEPS:
        for number, split in enumerate(SPLITS):
            rows.append(_one(folder, f"{label}_{number}", label, split, seed=number))
    rows.append(_one(folder, "test_silent", "left", "test", seed=9))
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(rows) + "\n")
    return manifest


def _one(folder: Path, name: str, label: str, split: str, seed: int) -> str:
    frames = media.pan(FRAMES, 96, 80, STEPS[label], seed)
    sound = None if name in SILENT else media.tone(FRAMES / media.FPS, 440 if label == "left" else 880)
    codec = media.MPEG4 if seed % 2 else media.H264
    media.write_video(folder / f"{name}.mp4", frames, codec, sound=sound)
    return f"{name}.mp4,{label},{split},1.28-2.56"

"""Tables as files: JSON, Markdown and a picture."""

from pathlib import Path

from pipelines.files import write_json, write_text
from scsampler_tf.experiments.figure import write_figure
from scsampler_tf.experiments.markdown import markdown
from scsampler_tf.experiments.table import Table


def write_table(table: Table, folder: Path, variant: str = "") -> list[Path]:
    """Writes NAME.json, NAME.md and NAME.png into `folder`, each whole or not at all.

    A `variant` (another split, settings found by a search) is added to the names.
    """
    paths = [folder / f"{table.name}{variant}{suffix}" for suffix in (".json", ".md", ".png")]
    write_json(paths[0], table.to_dict())
    write_text(paths[1], markdown(table))
    write_figure(table, paths[2])
    return paths

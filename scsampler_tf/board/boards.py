"""The boards of the trainings: which panels each of them has."""

from collections.abc import Sequence
from pathlib import Path

from pipelines.index import FeatureIndex
from scsampler_tf.board.callback import Board
from scsampler_tf.board.confusion import ConfusionMatrix
from scsampler_tf.board.curves import AccuracyCurve
from scsampler_tf.board.drawn import drawn_epochs, shown_videos
from scsampler_tf.board.hparams import Settings
from scsampler_tf.board.inputs import InputPictures
from scsampler_tf.board.latest import LatestSaliency
from scsampler_tf.board.panel import Panel
from scsampler_tf.board.scalars import Scalars
from scsampler_tf.board.thumbnails import Thumbnails
from scsampler_tf.board.timelines import SaliencyTimeline
from scsampler_tf.validation import ClassifierValidation, SamplerValidation

LOGS = "logs"  # below the folder of a network


def classifier_board(
    folder: Path,
    settings: dict,
    index: FeatureIndex,
    validation: ClassifierValidation | None,
    epochs: int,
    *,
    pictures: bool = True,
    apart: bool = True,
) -> Board:
    """Charts, settings and, with `pictures`, confusion matrices of a training of `epochs` in `folder`.

    `apart`: pictures are made in a process of their own.
    """
    panels = [Scalars(), Settings(settings, "val_log_likelihood", folder)]
    if pictures and validation is not None:
        panels.append(ConfusionMatrix(validation, index.labels, drawn_epochs(epochs)))
    return Board(Path(folder) / LOGS, panels, apart)


def sampler_board(
    folder: Path,
    settings: dict,
    index: FeatureIndex,
    validation: SamplerValidation | None,
    epochs: int,
    *,
    kinds: Sequence[str],
    pictures: bool = True,
    apart: bool = True,
) -> Board:
    """Charts and settings of a sampler's training in `folder`, or of several samplers that are trained
    jointly (`kinds`); with `pictures` accuracy against K, inputs and saliency timelines of val videos.

    `apart`: pictures are made in a process of their own.
    """
    panels = [Scalars(), Settings(settings, "val_chosen_score", folder)]
    if pictures and validation is not None:
        panels += _pictures(index, validation, kinds, drawn_epochs(epochs))
    return Board(Path(folder) / LOGS, panels, apart)


def _pictures(
    index: FeatureIndex, validation: SamplerValidation, kinds: Sequence[str], drawn: frozenset[int]
) -> list[Panel]:
    rows = [validation.table[video.video_id] for video in validation.videos]
    labels = [index.label_id(video) for video in validation.videos]
    panels: list[Panel] = [AccuracyCurve(validation, rows, labels, validation.K, drawn)]
    thumbnails, shown = Thumbnails(), shown_videos(validation.videos)
    saliency = LatestSaliency(validation.saliency, shown)
    validation.saliency = saliency.measure
    for number, video in enumerate(shown, start=1):
        panels.append(InputPictures(number, index, video, kinds))
        panels.append(
            SaliencyTimeline(
                number,
                video,
                index.settings,
                saliency,
                K=validation.K,
                drawn=drawn,
                thumbnails=thumbnails,
                scores=validation.table[video.video_id][:, index.label_id(video)],
            )
        )
    return panels

"""From what the networks give out to one saliency score a clip."""

from keras import ops

from scsampler_tf.objectives import check_objective


def frame_saliency(logits, objective: str):
    """Saliency of single frames: logits `[..., C]` -> `[...]` float32 in [0, 1].

    AC: the largest class probability, max_c softmax(logits)_c (paper, section 3.2.1). SAL-CL and
    SAL-RANK: the sigmoid of the one logit, C = 1 (sections 3.2.2, 3.2.3).
    """
    check_objective(objective)
    logits = ops.cast(logits, "float32")
    if objective == "ac":
        return ops.max(ops.softmax(logits, axis=-1), axis=-1, initial=0.0)
    if logits.shape[-1] != 1:
        raise ValueError(f"{objective}: {logits.shape[-1]} logits a frame where one is expected")
    return ops.sigmoid(ops.squeeze(logits, axis=-1))


def clip_saliency(logits, frame_mask, objective: str):
    """Saliency of clips, the mean over their P-frames: logits `[..., P, C]` -> `[...]` float32.

    frame_mask: `[..., P]`, True for P-frames that exist; a clip without any gets 0 (paper, section 3.3.1:
    the networks see all P-frames of the clip and their scores are averaged).
    """
    saliency = frame_saliency(_frames_only(logits, frame_mask), objective)
    return ops.squeeze(_mean_of_frames(ops.expand_dims(saliency, -1), frame_mask), axis=-1)


def clip_log_probs(logits, frame_mask):
    """Mean over the P-frames of log softmax: logits `[..., P, C]` -> `[..., C]` float32.

    frame_mask: `[..., P]`. `objectives.ac` of this is the mean cross-entropy over every P-frame of a
    clip. A clip without P-frames gets zeros, which are no distribution: leave it out of the mask there.
    """
    return _mean_of_frames(ops.log_softmax(_frames_only(logits, frame_mask), axis=-1), frame_mask)


def visual_saliency(saliencies):
    """The visual sampler's score: the mean of its networks' scores, a list of `[V, L]` -> `[V, L]`.

    Paper, section 3.3.1, for MD and RGB-R; section 4.2.2 with the I-frame network.
    """
    return ops.mean(ops.stack([ops.cast(each, "float32") for each in saliencies]), axis=0)


def _frames_only(logits, frame_mask):
    # Padding is replaced before the softmax: whatever it holds must not reach the gradient.
    return ops.where(ops.expand_dims(ops.cast(frame_mask, "bool"), -1), ops.cast(logits, "float32"), 0.0)


def _mean_of_frames(values, frame_mask):
    weight = ops.expand_dims(ops.cast(frame_mask, "float32"), -1)
    return ops.sum(values * weight, axis=-2) / ops.maximum(ops.sum(weight, axis=-2), 1.0)

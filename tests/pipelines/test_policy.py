import pytest

from pipelines.errors import VideoError
from pipelines.policy import motion_policy, unseen
from pipelines.video_file import VideoStream


def stream(codec, has_b_frames=False, interlaced=False):
    return VideoStream(
        codec=codec, width=64, height=48, fps=25.0, rotation=0, has_b_frames=has_b_frames,
        has_audio=False, duration_s=1.0, interlaced=interlaced,
    )  # fmt: skip


PLAIN = [stream(codec) for codec in ("h264", "mpeg4", "mpeg1video", "mpeg2video")]
WITH_B = [stream(codec, has_b_frames=True) for codec in ("h264", "mpeg1video", "mpeg2video")]
MUTE = [stream(codec) for codec in ("hevc", "vp8", "vp9", "av1", "mjpeg")] + [stream("mpeg4", True)]


def names(streams, mode):
    return {motion_policy(given, mode, "a.mp4").name for given in streams}


@pytest.mark.parametrize("mode", ["auto", "fast", "direct"])
def test_plain_streams_give_their_own_vectors(mode):
    assert names(PLAIN, mode) == {"direct"}


def test_vectors_that_reach_further_are_divided_only_when_asked_for():
    assert names(WITH_B, "auto") == {"transcode"}
    assert names(WITH_B, "fast") == {"scaled"}
    assert names([stream("h264", interlaced=True)], "auto") == {"transcode"}


@pytest.mark.parametrize("mode", ["auto", "fast"])
def test_streams_without_vectors_are_recoded(mode):
    assert names(MUTE, mode) == {"transcode"}


def test_transcode_is_always_possible():
    assert names([*PLAIN, *WITH_B, *MUTE], "transcode") == {"transcode"}


@pytest.mark.parametrize("given", [*WITH_B, *MUTE, stream("mpeg2video", interlaced=True)])
def test_direct_refuses_what_it_cannot_do_rightly(given):
    with pytest.raises(VideoError, match=r"a\.mp4: .*; set features\.motion to auto, fast or transcode"):
        motion_policy(given, "direct", "a.mp4")


def test_every_policy_says_why():
    assert "B-frames" in motion_policy(WITH_B[0], "auto", "a.mp4").reason
    assert "B-frames of mpeg4" in motion_policy(MUTE[-1], "fast", "a.mp4").reason
    assert "divided" in motion_policy(WITH_B[0], "fast", "a.mp4").reason
    assert motion_policy(stream("vp9"), "auto", "a.mp4").reason == "vp9 gives no motion vectors"
    assert "half pictures" in motion_policy(stream("h264", interlaced=True), "auto", "a.mp4").reason


def test_a_policy_that_training_has_not_met_is_remarked():
    assert unseen("direct", ["transcode", "direct"]) == []
    assert unseen("direct", []) == []  # a sampler that looks at no motion
    (remark,) = unseen("scaled", ["transcode", "direct"])
    assert "'scaled'" in remark
    assert "(direct, transcode)" in remark

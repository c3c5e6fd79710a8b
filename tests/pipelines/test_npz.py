import numpy as np
import pytest

from pipelines.npz import write_npz


def pieces(*lengths):
    rng = np.random.default_rng(0)
    return [
        {"md": rng.normal(size=(n, 2, 3, 2)).astype(np.float32), "kind": rng.choice(["I", "P"], size=n)}
        for n in lengths
    ]


def test_pieces_become_whole_arrays(tmp_path):
    batches = pieces(3, 1, 5)
    write_npz(tmp_path / "a.npz", iter(batches), lambda: {"pts_s": np.arange(9) / 25, "policy": "direct"})
    with np.load(tmp_path / "a.npz") as found:
        assert sorted(found) == ["kind", "md", "policy", "pts_s"]
        np.testing.assert_array_equal(found["md"], np.concatenate([batch["md"] for batch in batches]))
        np.testing.assert_array_equal(found["kind"], np.concatenate([batch["kind"] for batch in batches]))
        assert found["pts_s"].tolist() == (np.arange(9) / 25).tolist()
        assert str(found["policy"]) == "direct"


def test_a_failure_leaves_no_file(tmp_path):
    def breaking():
        yield from pieces(2)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_npz(tmp_path / "a.npz", breaking())
    with pytest.raises(ValueError, match="no rows"):
        write_npz(tmp_path / "a.npz", [])
    with pytest.raises(ValueError, match="after float32"):
        write_npz(
            tmp_path / "a.npz", [{"a": np.zeros((2, 3), np.float32)}, {"a": np.zeros((2, 4), np.float32)}]
        )
    assert list(tmp_path.iterdir()) == []

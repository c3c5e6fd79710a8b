import dataclasses
import json
import os

import pytest

from pipelines.errors import UserError
from scsampler_tf.config import small, tiny, to_dict
from scsampler_tf.workdir import claim_workdir, open_workdir


def test_a_folder_is_claimed_once_and_opened_again(tmp_path):
    config = dataclasses.replace(tiny(), seed=3)
    workdir = claim_workdir(tmp_path / "a" / "run", config)
    assert open_workdir(workdir.path) == (workdir, config)
    assert claim_workdir(workdir.path, config) == workdir
    assert json.loads(workdir.config_file.read_text()) == to_dict(config)


def test_another_configuration_is_refused_with_the_difference(tmp_path):
    claim_workdir(tmp_path, tiny())
    other = dataclasses.replace(tiny(), md=dataclasses.replace(tiny().md, epochs=5))
    with pytest.raises(UserError, match=r"was begun with md\.epochs=2, now 5 is asked for"):
        claim_workdir(tmp_path, other)
    with pytest.raises(UserError, match="was begun with audio"):
        claim_workdir(tmp_path, small())
    assert open_workdir(tmp_path)[1] == tiny()


def test_folders_that_are_no_run(tmp_path):
    with pytest.raises(UserError, match=r"no config\.json here"):
        open_workdir(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is a file, a folder is needed"):
        claim_workdir(tmp_path / "file", tiny())
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(UserError, match="not a readable JSON file"):
        open_workdir(tmp_path)
    with pytest.raises(UserError, match="not a readable JSON file"):
        claim_workdir(tmp_path, tiny())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(UserError, match="choose another"):
        claim_workdir(tmp_path / "run", tiny())


def test_everything_has_its_place(tmp_path):
    workdir = claim_workdir(tmp_path, tiny())
    assert workdir.model("md") == tmp_path / "models" / "md"
    assert workdir.table("md") == tmp_path / "scores" / "md.npz"
    assert workdir.features == tmp_path / "features"
    with pytest.raises(UserError, match=r"no index\.json here; make it with python -m pipelines\.prepare"):
        workdir.index(tiny())

import pytest

from scsampler_tf.board.guard import Guard


def broken(text):
    raise ValueError(text)


def test_an_error_is_one_line_told_once(capsys):
    guard, done = Guard(), []
    guard("chart", broken, "it is full\nand more")
    guard("chart", broken, "it is full\nand more")
    guard("chart", done.append, 3)
    guard("picture", broken, "")
    assert capsys.readouterr().err == (
        "TensorBoard: no chart: it is full; the training goes on\n"
        "TensorBoard: no picture: ValueError; the training goes on\n"
    )
    assert done == [3]


def test_where_in_a_graph_an_error_arose_is_left_out(capsys):
    Guard()(
        "log", broken, "{{function_node __wrapped__X_device_/job:localhost}} a/b.v2; No space left on device"
    )
    assert capsys.readouterr().err == (
        "TensorBoard: no log: a/b.v2; No space left on device; the training goes on\n"
    )


def test_ctrl_c_still_ends_a_training():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Guard()("chart", interrupted)

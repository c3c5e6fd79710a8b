def test_x(tiny_run):
    print(tiny_run.output)
    assert tiny_run.code == 0

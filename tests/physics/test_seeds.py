import numpy as np

from retrodict.physics.seeds import Seeds


def test_streams_depend_on_name_and_root_only():
    forth = {n: Seeds(5).stream(n).random(4) for n in ("data", "noise")}
    back = {n: Seeds(5).stream(n).random(4) for n in ("noise", "data")}
    for name in forth:
        np.testing.assert_array_equal(forth[name], back[name])
    assert not np.array_equal(forth["data"], forth["noise"])
    assert not np.array_equal(forth["data"], Seeds(6).stream("data").random(4))


def test_streams_of_neighbouring_roots_are_uncorrelated():
    a, b = (Seeds(root).stream("data").standard_normal(20_000) for root in (0, 1))
    assert abs(np.corrcoef(a, b)[0, 1]) < 4 / np.sqrt(20_000)


def test_the_global_generator_is_left_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002 - it must not move
    Seeds(1).stream("init").random(10)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002

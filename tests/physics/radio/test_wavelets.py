"""The compiled transforms against PyWavelets, and the frame that they make."""

import numpy as np
import pytest
import pywt

from retrodict.physics.errors import DataError
from retrodict.physics.radio.wavelets import SARA, Dictionary

pytestmark = pytest.mark.slow  # compiled loops


@pytest.mark.parametrize("shape", [(32, 32), (64, 32), (24, 40)])
def test_synthesis_inverts_and_transposes_analysis(shape):
    psi = Dictionary(shape)
    rng = np.random.default_rng(0)
    x, a = rng.standard_normal(shape), rng.standard_normal(psi.coefficients)
    assert np.abs(psi.synthesise(psi.analyse(x)) - x).max() < 1e-12
    left, right = np.vdot(psi.analyse(x), a), np.vdot(x, psi.synthesise(a))
    assert abs(left - right) < 1e-12 * np.linalg.norm(x) * np.linalg.norm(a)


@pytest.mark.parametrize("name", SARA[:-1])
def test_coefficients_are_those_of_pywavelets(name):
    psi = Dictionary((256, 256), (name,))
    x = np.random.default_rng(1).standard_normal((256, 256))
    theirs, _ = pywt.coeffs_to_array(pywt.wavedec2(x, name, mode="periodization", level=4))
    assert psi.level == 4
    assert np.abs(psi.analyse(x)[0] - theirs).max() < 1e-12


def test_single_precision_stays_single():
    psi = Dictionary((32, 32))
    x = np.random.default_rng(2).standard_normal((32, 32)).astype(np.float32)
    back = psi.synthesise(psi.analyse(x))
    assert back.dtype == np.float32
    assert np.abs(back - x).max() < 1e-5


def test_every_subband_is_named_and_filled():
    psi = Dictionary((32, 32), ("db2", "dirac"))
    assert psi.subbands.max() + 1 == len(psi.labels)
    coarse = psi.subbands[0] == psi.labels.index(f"db2/{psi.level}/aa")
    assert coarse.sum() == (32 >> psi.level) ** 2
    flat = psi.analyse(np.ones((32, 32)))[0]
    assert np.abs(flat[~coarse]).max() < 1e-10 < np.abs(flat[coarse]).min()


@pytest.mark.parametrize(("shape", "names"), [((31, 32), SARA), ((32, 32), ()), ((32, 32), ("bior2.2",))])
def test_wrong_dictionaries_are_refused(shape, names):
    with pytest.raises(DataError, match="Dictionary"):
        Dictionary(shape, names)

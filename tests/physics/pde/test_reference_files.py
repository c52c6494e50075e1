import io
import zipfile

import numpy as np
import pytest
import scipy.io
import xarray as xr

from retrodict.physics.errors import ConfigError, DataError
from retrodict.physics.pde.reference_files import read_netcdf, read_reference
from retrodict.physics.pde.reference_grids import as_reference
from retrodict.solvers.result import load_dataset, save_dataset

X, T = np.linspace(-1, 1, 12), np.linspace(0, 0.9, 7)
U = np.sin(3 * X[:, None]) * np.exp(-T)


def write_npz(path, **changes):
    arrays = {"x": X[:, None], "t": T[:, None], "usol": U} | changes
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})


def write_mat(path, **changes):
    arrays = {"x": X[None], "t": T[None], "u": U.T} | changes
    scipy.io.savemat(path, {k: v for k, v in arrays.items() if v is not None}, do_compression=True)


def comsol_text(names=("u",), nodes=12):
    columns = [f"{name} (1) @ t={float(t)!r}" for t in T for name in names]
    header = ["% Model: a.mph", "% Dimension:          1", f"% Nodes:              {nodes}"]
    header += [
        f"% Expressions:        {len(columns)}",
        "% Description:        因变量 u",
        "% X   " + "   ".join(columns),
    ]
    rows = [
        " ".join(map(repr, [float(x)] + [float(U[i, j]) * (k + 1) for j in range(len(T)) for k in range(len(names))]))
        for i, x in enumerate(X)
    ]
    return "\n".join(header + rows) + "\n"


def write_comsol(path):
    path.write_text(comsol_text(), encoding="utf-8")


def write_netcdf(path):
    save_dataset(xr.Dataset({"u": (("t", "x"), U.T, {"units": "1"})}, {"x": X, "t": T}), path)


WRITERS = {"a.npz": write_npz, "a.mat": write_mat, "a.dat": write_comsol, "a.nc": write_netcdf}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("suffix", ["", ".odd"])
def test_four_formats_give_one_form_whatever_the_suffix(name, suffix, tmp_path):
    WRITERS[name](tmp_path / name)
    path = (tmp_path / name).rename(tmp_path / (name + suffix))
    data = read_reference(path)
    (field,) = data.data_vars
    assert data[field].dims == ("x", "t")
    assert data[field].attrs["units"] == "1"
    np.testing.assert_array_equal(data["x"], X)
    np.testing.assert_array_equal(data["t"], T)
    np.testing.assert_array_equal(data[field], U)


def test_descending_axes_are_turned_with_their_field(tmp_path):
    write_npz(tmp_path / "a.npz", x=X[::-1], t=T[::-1], usol=U[::-1, ::-1].T)
    np.testing.assert_array_equal(read_reference(tmp_path / "a.npz")["usol"], U)


def test_a_square_field_needs_its_layout(tmp_path):
    square = np.arange(49.0).reshape(7, 7)
    write_npz(tmp_path / "a.npz", x=X[:7], usol=None, Ca=square, Cb=-square)
    with pytest.raises(DataError, match=r"Ca: got shape \(7, 7\), which may be transposed, expected a layout"):
        read_reference(tmp_path / "a.npz")
    np.testing.assert_array_equal(read_reference(tmp_path / "a.npz", "xt")["Cb"], -square)
    np.testing.assert_array_equal(read_reference(tmp_path / "a.npz", "tx")["Cb"], -square.T)
    with pytest.raises(ConfigError, match="layout: got 'yx'"):
        read_reference(tmp_path / "a.npz", "yx")


def test_other_names_of_time_and_single_numbers(tmp_path):
    write_mat(tmp_path / "a.mat", t=None, tt=T, nu=0.01)
    assert list(read_reference(tmp_path / "a.mat").data_vars) == ["u"]


@pytest.mark.parametrize("name", ["a.npz", "a.mat"])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x": None}, "one of .'x',. among them"),
        ({"t": None}, "one of .'t', 'tt', 'time'. among them"),
        ({"u": None, "usol": None}, "got no field"),
        ({"x": X[:5]}, "5 x-values by 7 times"),
        ({"x": np.where(X[3] == X, np.nan, X)}, "x: got 1 values not finite"),
        ({"t": np.roll(T, 1)}, "t: got values that go back and forth"),
        ({"t": T[:1]}, "a line of at least two values"),
        ({"v": np.where(U[0, 0] == U, np.inf, U)}, "v: got 1 values not finite"),
        ({"v": U + 1j}, "v: got dtype complex128, expected real numbers"),
        ({"v": np.array(["a", "b"])}, "real numbers"),
    ],
)
def test_unusable_content(name, changes, message, tmp_path):
    WRITERS[name](tmp_path / name, **changes)
    with pytest.raises(DataError, match=message):
        read_reference(tmp_path / name)


def test_a_layout_that_contradicts_the_shape(tmp_path):
    write_npz(tmp_path / "a.npz")
    with pytest.raises(DataError, match="layout tx"):
        read_reference(tmp_path / "a.npz", "tx")


def test_pickled_objects_are_never_loaded(tmp_path):
    np.savez(tmp_path / "a.npz", x=X, t=T, u=np.array([{"a": 1}, None], dtype=object))
    with pytest.raises(DataError, match="allow_pickle"):
        read_reference(tmp_path / "a.npz")


def test_a_header_that_promises_too_much(tmp_path):
    raw = io.BytesIO()
    np.lib.format.write_array(raw, U)
    lie = raw.getvalue().replace(b"(12, 7)", b"(1<<9,)")
    huge = raw.getvalue().replace(b"(12, 7), ", b"(99999999")
    for content in (lie, huge):
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("x.npy", content)
        with pytest.raises(DataError, match="cannot be read"):
            read_reference(tmp_path / "a.npz")


def test_comsol_with_two_fields(tmp_path):
    (tmp_path / "a.txt").write_text(comsol_text(("u", "v")), encoding="utf-8")
    data = read_reference(tmp_path / "a.txt")
    np.testing.assert_array_equal(data["u"], U)
    np.testing.assert_array_equal(data["v"], 2 * U)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("% Nodes:              12", "% Nodes:              13", "12 rows of 7 expressions"),
        ("% Dimension:          1", "% Dimension:          2", "of one dimension"),
        ("% X ", "X ", "of one dimension"),
        ("t=0.0 ", "t=zero ", "'zero', expected a number"),
        ("\n1.0 ", "\n1.0 7 ", ":18: got 9 columns, expected 8"),
        ("\n1.0 ", "\n1_0 ", ":18: got '1_0', expected a number"),
        ("\n1.0 ", "\nnan ", "x: got 1 values not finite"),
        ("\n1.0 ", "\n-9.0 ", "go back and forth"),
    ],
)
def test_damaged_comsol_text(old, new, message, tmp_path):
    text = comsol_text()
    assert old in text
    (tmp_path / "a.txt").write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_reference(tmp_path / "a.txt")


def test_comsol_without_rows_or_with_other_times(tmp_path):
    head, two = comsol_text().split("\n-1.0 ")[0], comsol_text(("u", "v")).replace("v (1) @ t=0.9", "v (1) @ t=0.95")
    for text, message in ((head, "got no rows"), (two, "the same times for every field")):
        (tmp_path / "a.txt").write_text(text, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_reference(tmp_path / "a.txt")


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", b"MATLAB 5.0", b"\x89HDF\r\n\x1a\n", b"%", b"% X u @ t=0\n"]
)
def test_fragments(content, tmp_path):
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(DataError, match=r"a: got .*, expected "):
        read_reference(tmp_path / "a")


def test_missing_file_and_folder(tmp_path):
    for path in (tmp_path / "none.npz", tmp_path):
        with pytest.raises(DataError, match="got no readable file"):
            read_reference(path)


def test_netcdf_with_other_dims(tmp_path):
    xr.Dataset({"u": ("x", X)}, {"x": X, "t": ("t", T)}).to_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match="u: got dims"):
        read_netcdf(tmp_path / "a.nc")
    with pytest.raises(DataError, match="got coordinates"):
        as_reference(xr.Dataset({"u": ("x", X)}, {"x": X}))
    write_netcdf(tmp_path / "b.nc")
    xr.testing.assert_identical(as_reference(load_dataset(tmp_path / "b.nc")), read_netcdf(tmp_path / "b.nc"))


def outcome(path):
    try:
        return read_reference(path)
    except DataError:
        return None


@pytest.mark.parametrize("name", ["a.npz", "a.mat", "a.dat"])
def test_mutated_bytes_give_an_error_or_a_whole_dataset(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    raw, whole, rng = path.read_bytes(), read_reference(path), np.random.default_rng(5)
    errors = 0
    for _ in range(200):
        damaged = bytearray(raw)
        damaged[rng.integers(len(raw))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        data = outcome(path)
        errors += data is None
        # an archive has checksums; a digit of a text is as good as another
        if data is not None and name == "a.npz":
            assert data.identical(whole)
        elif data is not None:
            assert all(np.isfinite(field).all() and field.shape == U.shape for field in data.data_vars.values())
    assert errors > 60


@pytest.mark.parametrize("name", WRITERS)
def test_truncated_files(name, tmp_path):
    path = tmp_path / name
    WRITERS[name](path)
    raw = path.read_bytes()
    for end in np.linspace(0, len(raw) * 0.98, 25).astype(int):
        path.write_bytes(raw[:end])
        assert outcome(path) is None


def test_integers_of_matlab_become_floats(tmp_path):
    write_mat(tmp_path / "a.mat", u=np.arange(84, dtype=np.int16).reshape(7, 12))
    data = read_reference(tmp_path / "a.mat")["u"]
    assert data.dtype == np.float64
    assert data.sel(x=X[3], t=T[2]) == 27

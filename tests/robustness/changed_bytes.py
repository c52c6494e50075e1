"""What may happen to the bytes of a file."""

import numpy as np


def flip(data, rng):
    at = int(rng.integers(len(data)))
    return data[:at] + bytes([data[at] ^ (1 << int(rng.integers(8)))]) + data[at + 1 :]


def delete(data, rng):
    at = int(rng.integers(len(data)))
    return data[:at] + data[at + int(rng.integers(1, 9)) :]


def insert(data, rng):
    at = int(rng.integers(len(data)))
    return data[:at] + rng.bytes(int(rng.integers(1, 9))) + data[at:]


def truncate(data, rng):
    return data[: int(rng.integers(len(data)))]


def overwrite(data, rng):
    at = int(rng.integers(len(data)))
    new = [np.float64(np.nan), np.float64(1e30), np.float32(np.inf)][int(rng.integers(3))].tobytes()
    return data[:at] + new + data[at + len(new) :]


EVERY = [flip, delete, insert, truncate, overwrite]

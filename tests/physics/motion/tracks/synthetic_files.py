"""Writers of small files in every format, from one known motion."""

import io
import struct

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

FOOT = 0.3048
STEP = 0.1
COUNT = 12
SPEEDS = (10.0, 6.0, 14.0)
TURNS = (0.1, -0.2, 0.0)
LENGTHS = (4.5, 4.0, 12.0)
WIDTHS = (1.8, 1.7, 2.5)
STARTS = (0, 3, 1)


def motion(track, count=COUNT, step=STEP):
    """Return x, y, heading, speed of one vehicle that turns at a constant rate."""
    time = step * np.arange(count)
    heading = 0.3 + 0.5 * track + TURNS[track] * time
    speed = SPEEDS[track] + 0.5 * time
    x = 5.0 * track + np.concatenate([[0.0], np.cumsum(step * speed * np.cos(heading))[:-1]])
    y = -3.0 * track + np.concatenate([[0.0], np.cumsum(step * speed * np.sin(heading))[:-1]])
    return x, y, heading, speed


def state(x, y, heading, time, speed, acceleration=None, tag="state"):
    lines = [f"<{tag}>", "<position>", "<point>", f"<x>{x:.4f}</x>", f"<y>{y:.4f}</y>", "</point>", "</position>"]
    lines += ["<orientation>", f"<exact>{heading:.4f}</exact>", "</orientation>"]
    lines += ["<time>", f"<exact>{time}</exact>", "</time>", "<velocity>", f"<exact>{speed:.4f}</exact>", "</velocity>"]
    if acceleration is not None:
        lines += ["<acceleration>", f"<exact>{acceleration:.4f}</exact>", "</acceleration>"]
    return [*lines, f"</{tag}>"]


def obstacle(version, track, states, category="car", name=None, shape=None):
    tag = "obstacle" if version == "2018b" else "dynamicObstacle"
    size = [f"<length>{LENGTHS[track]}</length>", f"<width>{WIDTHS[track]}</width>"]
    shape = shape or ["<rectangle>", *size, "</rectangle>"]
    head = [f'<{tag} id="{name or 30 + track}">', *(["<role>dynamic</role>"] if version == "2018b" else [])]
    head += [f"<type>{category}</type>", "<shape>", *shape, "</shape>"]
    return [*head, *states[0], "<trajectory>", *[line for s in states[1:] for line in s], "</trajectory>", f"</{tag}>"]


def scenario(version, body, step=STEP, head='<?xml version="1.0" encoding="utf-8"?>'):
    root = f'<commonRoad commonRoadVersion="{version}" benchmarkID="ZAM_Test-1_1_T-1" timeStepSize="{step}">'
    lanelet = ['<lanelet id="1">', "<leftBound>", "<point>", "<x>0.0</x>", "<y>1.0</y>", "</point>", "</leftBound>"]
    return ("\n".join([head, root, *lanelet, "</lanelet>", *body, "</commonRoad>"]) + "\n").encode()


def states(track, count=COUNT):
    rows = zip(*motion(track, count), strict=True)
    found = []
    for k, (x, y, heading, speed) in enumerate(rows):
        tag = "initialState" if k == 0 else "state"
        found.append(state(x, y, heading, k + STARTS[track], speed, 0.5 if track == 0 else None, tag))
    return found


def commonroad(version="2020a", count=COUNT):
    still = {"2018b": ('obstacle id="90"', "obstacle"), "2020a": ('staticObstacle id="90"', "staticObstacle")}[version]
    role = ["<role>static</role>"] if version == "2018b" else []
    circle = ["<circle>", "<radius>0.4</radius>", "</circle>"]
    parked = [f"<{still[0]}>", *role, "<type>parkedVehicle</type>", "<shape>", *circle, "</shape>"]
    parked += [*state(0, 50, 0, 0, 0, tag="initialState"), f"</{still[1]}>"]
    body = [line for track in range(3) for line in obstacle(version, track, states(track, count))]
    return scenario(version, [*body, *parked])


def argoverse_columns(count=COUNT):
    rows = []
    for track in range(3):
        for k, (x, y, heading, speed) in enumerate(zip(*motion(track, count), strict=True)):
            velocity = speed * np.cos(heading), speed * np.sin(heading)
            rows.append((str(30 + track), k + STARTS[track], x, y, heading, *velocity))
    track, step, x, y, heading, vx, vy = (list(column) for column in zip(*rows, strict=True))
    total = len(rows)
    return {
        "observed": [k < 6 for k in step],
        "track_id": track,
        "object_type": ["vehicle"] * total,
        "object_category": [2] * total,
        "timestep": step,
        "position_x": x,
        "position_y": y,
        "heading": heading,
        "velocity_x": vx,
        "velocity_y": vy,
        "scenario_id": ["0a1e"] * total,
        "start_timestamp": [3.0e17] * total,
        "end_timestamp": [3.0e17 + 109e8] * total,
        "num_timestamps": [110] * total,
        "focal_track_id": ["30"] * total,
        "city": ["austin"] * total,
    }


def parquet(columns):
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer, write_page_checksum=True)
    return buffer.getvalue()


def argoverse():
    return parquet(argoverse_columns())


def varint(value):
    value %= 2**64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def key(number, kind):
    return varint(number << 3 | kind)


def integer(number, value):
    return key(number, 0) + varint(value)


def double(number, value):
    return key(number, 1) + struct.pack("<d", value)


def single(number, value):
    return key(number, 5) + struct.pack("<f", value)


def chunk(number, data):
    return key(number, 2) + varint(len(data)) + data


def object_state(x, y, heading, speed, track, valid=True):
    if not valid:
        return integer(11, 0)
    with np.errstate(invalid="ignore"):
        velocity = single(9, speed * np.cos(heading)) + single(10, speed * np.sin(heading))
    size = single(5, LENGTHS[track]) + single(6, WIDTHS[track]) + single(7, 1.5)
    return double(2, x) + double(3, y) + double(4, 0.0) + size + single(8, heading) + velocity + integer(11, 1)


def waymo_scenario(name="637f20cafde22ff8", count=COUNT, packed=False, tracks=(0, 1, 2), extra=b""):
    times = [STEP * k for k in range(count + 3)]
    stamps = b"".join(struct.pack("<d", t) for t in times)
    message = chunk(1, stamps) if packed else b"".join(double(1, t) for t in times)
    for track in tracks:
        rows = list(zip(*motion(track, count), strict=True))
        listed = b""
        for k in range(len(times)):
            i = k - STARTS[track]
            inside = 0 <= i < count
            row = rows[i] if inside else (0.0, 0.0, 0.0, 0.0)
            listed += chunk(3, object_state(*row, track, inside))
        message += chunk(2, integer(1, 30 + track) + integer(2, 1) + listed)
    return (
        message
        + chunk(5, name.encode())
        + integer(6, 0)
        + integer(10, 5)
        + chunk(11, integer(1, len(tracks) - 1))
        + extra
    )


def masked(data):
    crc = google_crc32c.value(data)
    return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)


def frame(payload):
    length = struct.pack("<Q", len(payload))
    return length + masked(length) + payload + masked(payload)


def waymo():
    return frame(waymo_scenario()) + frame(waymo_scenario("second", tracks=(0,), packed=True))


def ngsim_rows(period=0, count=COUNT, vehicle=2):
    """Return rows of 18 numbers as text, in feet."""
    rows = []
    for track in range(3):
        for k, (x, y, _, speed) in enumerate(zip(*motion(track, count), strict=True)):
            frame_id = 13 + k + STARTS[track]
            size = f"{LENGTHS[track] / FOOT:.1f} {WIDTHS[track] / FOOT:.1f}"
            rows.append(
                f"{vehicle + track} {frame_id} {count} {1118846980000 + period + 100 * frame_id} {x / FOOT:.3f} "
                f"{y / FOOT:.3f} {6451137.641 + x / FOOT:.3f} {1873344.962 + y / FOOT:.3f} {size} {2 + (track == 2)} "
                f"{speed / FOOT:.2f} {0.5 / FOOT:.2f} 2 0 {track} 0.00 0.00"
            )
    return rows


def ngsim_text():
    return ("\n".join(ngsim_rows()) + "\n").encode()


CSV_HEADER = (
    "Vehicle_ID,Frame_ID,Total_Frames,Global_Time,Local_X,Local_Y,Global_X,Global_Y,v_length,v_Width,v_Class,v_Vel,"
    "v_Acc,Lane_ID,O_Zone,D_Zone,Int_ID,Section_ID,Direction,Movement,Preceding,Following,Space_Headway,Time_Headway,"
    "Location"
)


def ngsim_csv_lines(location="us-101", **settings):
    lines = []
    for row in ngsim_rows(**settings):
        fields = row.split()
        lines.append(",".join([*fields[:14], "", "", "", "", "", "", *fields[14:], location]))
    return lines


def ngsim_csv():
    lines = ngsim_csv_lines()
    return ("\n".join([CSV_HEADER, *lines[::-1]]) + "\n").encode()


def eth():
    lines = []
    for k in range(COUNT + 3):
        for track in range(3):
            i = k - STARTS[track]
            if 0 <= i < COUNT:
                x, y, _, _ = motion(track)
                lines.append(f"{780 + 10 * k}.0\t{track + 1}.0\t{x[i]:.6f}\t{y[i]:.6f}")
    return ("\n".join(lines) + "\n").encode()


def drive_log(count=36):
    _, _, heading, speed = motion(0, count)
    rate = np.degrees(np.gradient(heading, STEP))
    lines = ["time[s],speed[km/h],yaw_rate[deg/s],steering[rad]"]
    for k in range(count):
        lines.append(f"{STEP * k:.1f},{3.6 * speed[k]:.4f},{rate[k]:.5f},{0.03 + 0.001 * k:.4f}")
    return ("\n".join(lines) + "\n").encode()

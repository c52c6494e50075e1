"""Readers of recorded motion: six formats, one track set."""

from retrodict.physics.motion.tracks.damage import DamagedRecordWarning
from retrodict.physics.motion.tracks.formats import FORMATS, Reader, detect_format, read_scenarios, read_tracks
from retrodict.physics.motion.tracks.reference_points import REAR_AXLE_FRACTION, to_reference
from retrodict.physics.motion.tracks.windows import windows

__all__ = [
    "FORMATS",
    "REAR_AXLE_FRACTION",
    "DamagedRecordWarning",
    "Reader",
    "detect_format",
    "read_scenarios",
    "read_tracks",
    "to_reference",
    "windows",
]

"""Compares codecs: one list of workloads and of candidates, for the command and for pytest.

Nothing here is imported by the rest of the package but ``avatarwire bench``.
"""

from avatarwire.bench.candidates import CANDIDATES
from avatarwire.bench.measuring import Group, Line, checked, made, measured
from avatarwire.bench.reference import External, Fields, Image
from avatarwire.bench.timing import best_times
from avatarwire.bench.workloads import WORKLOADS, Workload, workload

__all__ = [
    "CANDIDATES",
    "WORKLOADS",
    "External",
    "Fields",
    "Group",
    "Image",
    "Line",
    "Workload",
    "best_times",
    "checked",
    "made",
    "measured",
    "workload",
]

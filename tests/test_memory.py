"""What a job frees is kept for the next tile, and goes back to the system after the job."""

import os
import subprocess
import sys

import pytest

from restoration import memory

# Counts page faults of allocating, writing and freeing 32 MB ten times, then the pages that giving back returns.
PROGRAM = """
import ctypes, resource
from restoration import memory

def resident():
    return int(open("/proc/self/statm").read().split()[1])

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

library = ctypes.CDLL(None)
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]
if {kept}:
    memory.keep()
size = 32 << 20
for turn in range(11):
    block = library.malloc(size)
    ctypes.memset(block, 1, size)
    library.free(block)
    if turn == 0:
        first = faults()
taken, before = faults() - first, resident()
memory.give_back()
print(taken, before - resident())
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own settings")
def test_kept_memory_costs_no_page_faults_and_is_given_back():
    def run(kept: bool) -> list[int]:
        done = subprocess.run([sys.executable, "-c", PROGRAM.format(kept=kept)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [int(word) for word in done.stdout.split()]

    pages = (32 << 20) // 4096
    faults, returned = run(kept=True)
    assert faults < pages  # that is a tenth of what ten blocks have
    assert returned > 0.9 * pages


# Bytes of the heap in use that convolutions of another 400 sizes of picture add.
SIZES = """
import ctypes, torch
from restoration import memory

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in "abcdefghij"]

def used():
    found = library.mallinfo2()
    return found.e + found.h

library = ctypes.CDLL(None)
library.mallinfo2.restype = Mallinfo2
if {kept}:
    memory.keep()
weight = torch.zeros(16, 16, 3, 3)
with torch.inference_mode():
    for side in range(20, 520):
        if side == 120:
            before = used()
        torch.conv2d(torch.zeros(1, 16, side, 20), weight)
print(used() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's own count")
def test_pictures_of_many_sizes_do_not_fill_the_memory():
    fresh = {name: value for name, value in os.environ.items() if name not in memory.PREPARED}

    def growth(kept: bool) -> int:
        code = SIZES.format(kept=kept)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=fresh)
        assert done.returncode == 0, done.stderr
        return int(done.stdout)

    assert growth(True) < growth(False) / 5

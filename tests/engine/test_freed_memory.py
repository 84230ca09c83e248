"""What a training step frees is there for the next one, and goes back to the system when it is told to."""

import json
import platform
import subprocess
import sys

import pytest

STEPS = """
import json, resource
import psutil, torch
from torchtty.engine.devices import free_cached_memory, keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tensors = [torch.ones(1_000_000) for _ in range(64)]  # 4 MB each
    del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

own = [faults() for _ in range(3)][-1]
keep_freed_memory()
kept = [faults() for _ in range(3)][-1]
held = psutil.Process().memory_info().rss
free_cached_memory()
print(json.dumps({"own": own, "kept": kept, "freed": held - psutil.Process().memory_info().rss}))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have rules of their own")
def test_a_step_finds_the_memory_that_the_one_before_has_freed() -> None:
    found = json.loads(subprocess.run([sys.executable, "-c", STEPS], capture_output=True, check=True, text=True).stdout)
    assert found["kept"] <= max(found["own"] / 10, 200), "of 65,000 pages of 4 kB, or fewer that are larger"
    assert found["freed"] > 200e6, "all of it goes back to the system"

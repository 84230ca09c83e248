"""Everything that computes. Never imports textual."""

import os

# How long torch's OpenMP threads spin while they wait for each other, before they sleep. Endlessly, as torch comes, a step of two
# threads took up to 670 ms instead of 41 on two cores with another program on one of them; without spinning it took 48 ms
# instead of 26 where nothing else ran. It must be set before torch is imported.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "100000")

# Torch numbers GPUs as their driver and nvidia-smi do. By itself CUDA puts the fastest first.
os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")

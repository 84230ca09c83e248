"""Everything that computes. Never imports textual."""

import os

# Torch's OpenMP threads otherwise spin while they wait for each other. With every core taken by something else (the app, a
# browser, another run) a training step of two threads then took 2,455 ms instead of 124 ms on two cores. It must be set
# before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# Torch numbers GPUs as their driver and nvidia-smi do. By itself CUDA puts the fastest first.
os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")

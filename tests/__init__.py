"""The tests mirror the structure of the package."""

import os
import signal

# Before NumPy loads: two BLAS threads on a busy machine take five times as long (attn_cli/cli.py says why).
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # and so with PyTorch's
os.environ["HF_HUB_OFFLINE"] = "1"  # no test asks the hub, not even by mistake
signal.signal(signal.SIGINT, signal.default_int_handler)  # a process started with `&` ignores Ctrl-C

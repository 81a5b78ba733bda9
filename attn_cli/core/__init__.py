"""The arithmetic of attention. It knows arrays, nothing else."""

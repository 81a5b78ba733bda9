"""Keeps memory that was freed: where it is returned to the system, every large array is paged in again."""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD of malloc.h
_LARGEST = 1 << 25  # bytes: glibc takes no larger arrays from what it keeps


def keep_freed_memory(most: int = (1 << 31) - 1) -> None:
    """Make glibc keep up to `most` freed bytes for the process; with another C library nothing changes.

    For work that allocates arrays of the same sizes again and again: a training of 4 layers of 6 heads on 512
    tokens takes two thirds of the time on two cores, a survey of `storybook` five sixths.
    """
    try:
        tune = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return
    tune(_MMAP_THRESHOLD, _LARGEST)
    tune(_TRIM_THRESHOLD, most)

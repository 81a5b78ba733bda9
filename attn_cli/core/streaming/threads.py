"""Distributes pieces of work over as many threads as PyTorch uses."""

import threading
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait

_PATIENCE = 0.5  # seconds: Ctrl-C must take effect within a second


def share_out(
    work: Callable[[range], int], pieces: Sequence[range], stopped: threading.Event
) -> Generator[int]:
    """Yield the result of `work` for each piece, in order of completion; a piece is computed by one thread.

    Operations within a piece are too small to be parallelised themselves: threads would wait for each other
    at every operation (8,192 tokens on 2 cores take 1.3 times as long). Closing the generator stops the work:
    it sets `stopped`, no further piece starts, and a thread that reacts late (numba compiles for 6 s) is left
    to finish by itself.
    """
    import torch  # already imported: the pieces are of tensors

    threads = torch.get_num_threads()
    if threads == 1:
        yield from map(work, pieces)
        return
    pool = ThreadPoolExecutor(threads, "attn", initializer=torch.set_num_threads, initargs=(1,))
    futures: list[Future[int]] = []
    try:
        futures.extend(pool.submit(work, piece) for piece in pieces)
        for future in as_completed(futures):
            yield future.result()
    finally:
        stopped.set()
        try:
            _close(pool, futures)
        finally:
            torch.set_num_threads(threads)


def _close(pool: ThreadPoolExecutor, futures: Sequence[Future[int]]) -> None:
    """Cancel pending pieces, and wait for running ones for at most `_PATIENCE` seconds."""
    pool.shutdown(wait=False, cancel_futures=True)
    begun = [future for future in futures if not future.cancelled()]
    if not wait(begun, _PATIENCE).not_done:
        pool.shutdown()

"""How many workers a machine has room for, and which GPU each of them uses."""

import math
from dataclasses import replace

from attn_cli.models.backend import gpus_of
from attn_cli.models.cores import granted_cores
from attn_cli.models.free_memory import free_bytes
from attn_cli.models.source import Source
from attn_cli.survey.records import SurveyRequest

_OF_FREE = 0.8  # the part of free memory that the weights of all workers may take


def worker_count(source: Source) -> int:
    """One worker for each core, or each GPU of `--device cuda`; fewer where their weights would not fit.

    A model of transformers' is in the memory of each worker as a whole; one that is spread over several GPUs
    has a single worker.
    """
    device, held = source.backend.device, source.weights_held
    if device != "cpu":
        return 1 if len(source.devices) > 1 else len(gpus_of(device))
    free, cores = free_bytes(device), granted_cores()
    return cores if free is None or not held else max(1, min(cores, int(_OF_FREE * free / held)))


def share_of(request: SurveyRequest, number: int, workers: int) -> tuple[SurveyRequest, int]:
    """What worker `number` of so many opens, and how many of them use the same memory.

    Where `cuda` means several GPUs, each worker uses one of them; a single worker keeps all, for a model that
    one cannot hold.
    """
    if request.source.device != "cuda" or workers == 1:
        return request, workers
    gpus = gpus_of(request.source.device)
    own = replace(request, source=replace(request.source, device=gpus[number % len(gpus)]))
    return own, math.ceil(workers / len(gpus))

"""The model type of a class of transformers, for a configuration without a `model_type`."""

import re
from collections.abc import Sequence

import transformers  # with torch 3 s: imported only by modules that need it anyway


def type_of(architectures: Sequence[object]) -> tuple[str, str] | None:
    """The model type of the first class that transformers has, and its name; None if it has none of them."""
    for named in architectures:
        name = re.sub(r"^(TF|Flax)", "", str(named))
        found = getattr(transformers, name, None) if name.isidentifier() else None
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel):
            kind = getattr(found.config_class, "model_type", None)
            if kind:
                return str(kind), str(named)
    return None

"""All cases of all kinds."""

from tests.hostile import configs, hub, outputs, runs, texts, tokenizers, weights

CASES = [
    case for module in (configs, weights, tokenizers, texts, outputs, hub, runs) for case in module.cases()
]

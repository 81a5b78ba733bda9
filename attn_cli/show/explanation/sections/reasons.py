"""Why a step is not known, in the language of the page (the sentences are those of `captured_layer.py`)."""

from collections.abc import Mapping
from types import MappingProxyType

from attn_cli.show.explanation.document import Outside
from attn_cli.show.explanation.phrases import Phrase
from attn_cli.vocabulary import Step

PORTUGUESE: Mapping[str, str] = MappingProxyType(
    {
        "only the softmax of this family can be observed": ("desta família só se pode observar a softmax"),
        "the module does not receive one vector per token": "o módulo não recebe um vetor por token",
        "no linear layer W^O is applied directly to the heads' contexts": (
            "nenhuma camada linear W^O é aplicada diretamente aos contextos das cabeças"
        ),
        "the module computes attention more than once, and this is only the first": (
            "o módulo calcula a atenção mais de uma vez, e esta é só a primeira"
        ),
        "the model's weights are not softmax(q·k × scale + bias), so only its softmax is shown": (
            "os pesos do modelo não são softmax(q·k × escala + viés), então só se mostra a softmax"
        ),
    }
)


def reason(absent: Mapping[Step, str], step: Step) -> Phrase | Outside | None:
    """Why the step is not known; None if nothing is said. Other reasons may have names from outside."""
    why = absent.get(step)
    if why is None:
        return None
    return Phrase(why, PORTUGUESE[why]) if why in PORTUGUESE else Outside(why)

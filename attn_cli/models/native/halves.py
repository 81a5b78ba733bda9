"""Which half of an encoder-decoder model a checkpoint contains, by the class that `architectures` names."""

from attn_cli.models.files.config import Config, NotNativeError

_OF_T5 = ("EncoderModel", "ForTokenClassification")  # `T5EncoderModel`; the other is built on it
_OTHERS = ("Encoder", "Decoder", "ForCausalLM")  # `BartEncoder`, `BartForCausalLM`: the names lack `encoder.`


def is_encoder_alone(config: Config) -> bool:
    """Whether the checkpoint is the encoder of a T5 without its decoder."""
    return _names(config, _OF_T5)


def check_has_both(config: Config) -> None:
    """Check that the checkpoint has both halves.

    Raises:
        NotNativeError: it has one of them.
    """
    if _names(config, _OTHERS):
        problem = f"{config.path} names the class of an encoder or a decoder alone"
        raise NotNativeError(problem)


def _names(config: Config, endings: tuple[str, ...]) -> bool:
    listed = config.values.get("architectures")
    names = listed if isinstance(listed, list) else []
    return any(isinstance(name, str) and name.endswith(endings) for name in names)

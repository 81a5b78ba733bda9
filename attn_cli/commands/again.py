"""The arguments that name the same text and model again, for a command to go on with."""

from attn_cli.commands import options
from attn_cli.vocabulary import DType, Language


def asked_again(
    inputs: options.ReadingOptions, compute: options.ComputeOptions, language: Language | None = None
) -> list[str]:
    """The arguments that read the same; a text that begins with a dash stands last, after `--`."""
    text, source, backend = inputs.text, inputs.source, compute.backend
    is_file = text.file is not None and str(text.file) != "-"
    named = ["--file", str(text.file)] if is_file else [text.text or "-"]
    is_dashed = text.file is None and named[0].startswith("-") and named != ["-"]
    given = {
        "--pair": text.pair,
        "--target": text.target,
        "--generate": inputs.generation.generate,
        "--temperature": inputs.generation.temperature,
        "--top-p": inputs.generation.top_p,
        "-m": source.model,
        "--revision": source.revision,
        "--tokenizer": source.tokenizer,
        "--kind": inputs.kind,
        "--device": None if backend.device == "auto" else backend.device,
        "--dtype": None if backend.dtype is DType.FLOAT32 else backend.dtype,
        "--seed": compute.seed,
        "--width": compute.features,
        "--head-count": compute.head_count,
        "--lang": language,
    }
    flags = {
        "--chat": text.chat,
        "--no-special": source.no_special,
        "--no-adapter": source.no_adapter,
        "--trust-remote-code": source.trust_remote_code,
        "--causal": compute.causal is True,
        "--no-causal": compute.causal is False,
    }
    values = [
        word for option, value in given.items() if value not in (None, "") for word in (option, str(value))
    ]
    if text.system is not None:  # an empty one takes the place of the template's own
        values += ["--system", text.system]
    chosen = [*values, *(flag for flag, is_given in flags.items() if is_given)]
    return [*chosen, "--", *named] if is_dashed else [*named, *chosen]

"""pyarrow, which reads and writes .parquet files, where it is installed."""

from typing import Any

from attn_cli.errors import AttnError


def parquet_library() -> Any:
    """pyarrow, with its module for .parquet files.

    Raises:
        AttnError: it is not installed.
    """
    try:
        import pyarrow as pa  # 0.1 s, and only for such a file
        import pyarrow.parquet
    except ImportError as error:
        hint = "pip install 'attn-cli[survey]'"
        raise AttnError(".parquet files need pyarrow, which is not installed", hint) from error
    return pa

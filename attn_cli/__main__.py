"""The `attn` process and `python -m attn_cli`: Ctrl-C is handled before much is imported."""

import gc
import sys

from attn_cli.interrupts import STATUS, leave, listen

_ALLOCATIONS = 100_000  # between two searches for cycles: with Python's 700 they take 0.01 s of the start


def main() -> None:
    """Run `attn`; an interruption while its modules are imported is no traceback either."""
    gc.set_threshold(_ALLOCATIONS)
    try:
        listen()
        from attn_cli.cli import main as start  # typer: 0.08 s

        start()
    except KeyboardInterrupt:
        sys.stderr.write("attn: interrupted\n")
        leave()
    except SystemExit as ended:
        if ended.code == STATUS:
            leave()
        raise
    finally:
        gc.freeze()  # what is left is not searched for cycles on the way out: 0.1 s after a picture


if __name__ == "__main__":
    main()

"""`attn` as a process, and `python -m attn_cli`: hardly anything is imported before Ctrl-C is answered."""

import gc
import os
import sys

_INTERRUPTED = 130


def main() -> None:
    """Run `attn`; an interruption while its modules are imported is no traceback either."""
    try:
        from attn_cli.cli import main as start  # typer: 0.08 s

        start()
    except KeyboardInterrupt:
        sys.stderr.write("attn: interrupted\n")
        _leave()
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            _leave()
        raise
    finally:
        gc.freeze()  # what is left is not searched for cycles on the way out: 0.1 s after a picture


def _leave() -> None:
    """End with status 130, at once.

    A Ctrl-C that meets an `exec`, as dataclasses do at import, would end Python by its signal even where
    it was answered (`pythonrun.c`, `run_eval_code_obj`); and threads would be waited for.
    """
    sys.stderr.flush()
    os._exit(_INTERRUPTED)


if __name__ == "__main__":
    main()

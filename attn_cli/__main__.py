"""`python -m attn_cli` is `attn`."""

from attn_cli.cli import main

if __name__ == "__main__":
    main()

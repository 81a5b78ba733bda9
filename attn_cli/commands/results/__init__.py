"""How do commands present what they found? Files, lines above a table, lists of heads, verdicts, progress."""

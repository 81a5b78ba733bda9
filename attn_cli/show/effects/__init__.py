"""How effects are shown: maps of layers by heads, sentences, the JSON object, records for files."""

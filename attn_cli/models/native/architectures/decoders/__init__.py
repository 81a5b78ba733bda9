"""GPT-2 and the decoders that came before Llama's layout, or beside it."""

"""GPT-2 and other decoders without Llama's layout."""

"""How are lessons shown? Each as the blocks of a document."""

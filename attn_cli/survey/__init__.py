"""How do heads behave over many documents? Measured document by document, in memory that does not grow."""

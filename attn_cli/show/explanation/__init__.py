"""How is the arithmetic of one weight shown? Documents of sentences, tables and equations that close."""

"""How does one weight come about? The arithmetic of a row opened, and two scores compared."""

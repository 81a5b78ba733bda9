"""Do our numbers agree with the reference model? Every step of every head, on texts that reach every mask."""

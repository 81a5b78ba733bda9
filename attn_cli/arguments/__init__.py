"""What a person typed becomes options and values, and what is mistyped gets an error that helps."""

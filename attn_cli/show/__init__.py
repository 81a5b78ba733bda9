"""What a user sees of a `Grid` or a `Head`: terminal views, pictures, data files."""

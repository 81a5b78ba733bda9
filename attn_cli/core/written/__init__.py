"""What heads write, not where they look: norms of what keys add, and layers without the values of a key."""

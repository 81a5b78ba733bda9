"""From weights to findings: what heads do, how far apart they are, whether they are right."""

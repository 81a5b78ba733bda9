"""Which part of a text the metrics of heads are measured on."""

"""How pictures are asked for: their options, their size and fonts, and what stands above them."""

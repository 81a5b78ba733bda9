"""From a text, a model and a selection to what is shown of them."""

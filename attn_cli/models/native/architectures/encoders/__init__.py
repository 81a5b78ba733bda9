"""BERT and its successors."""

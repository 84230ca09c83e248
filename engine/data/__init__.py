"""Datasets, tokenizers and batches."""

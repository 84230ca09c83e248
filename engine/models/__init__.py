"""Model families, one file each. Every autoregressive model is called as `model(idx, targets)` and has a `block_size`."""

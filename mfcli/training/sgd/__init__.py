"""The fast engine: Keras's SGD updates, made only where a batch needs them."""

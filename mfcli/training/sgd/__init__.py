"""SGD with momentum by compiled kernels, with the updates of Keras."""

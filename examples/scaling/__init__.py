"""A model of the time that an epoch of gradient descent takes on a cluster."""

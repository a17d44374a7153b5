"""Training on a cluster: ratings are sent to the workers that own their users or items."""

"""The formats of files with ratings or pairs: how each is recognized and read."""

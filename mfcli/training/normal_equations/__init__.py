"""The rows of one side, given those of the other, as solutions of small linear systems."""

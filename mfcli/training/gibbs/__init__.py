"""Gibbs sampling from the posterior of the factorization."""

"""Neural networks; pure torch."""

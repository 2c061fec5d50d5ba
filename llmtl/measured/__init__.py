"""What was measured, as plain values: evaluations of strategies, and of a live endpoint."""

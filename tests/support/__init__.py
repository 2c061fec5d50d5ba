"""What tests share: small tasks and runs, servers to ask, checks that several tests make."""

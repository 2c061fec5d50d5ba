"""The prompting stage."""

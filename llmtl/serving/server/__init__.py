"""The server's process: its command, its life under supervision, why it died."""

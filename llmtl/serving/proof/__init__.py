"""What a live endpoint is shown to do before it is announced: the measured labels, its latency and throughput."""

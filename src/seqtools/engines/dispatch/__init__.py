"""What engines whose workers are other processes share, in the consumer."""

"""The server: bytes in and out, queues and batches, the model in a process of its own, and the counters."""

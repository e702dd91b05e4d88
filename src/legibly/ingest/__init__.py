"""Events to readings: queues, sweeps and workers."""

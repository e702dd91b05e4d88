"""Turns events into readings: queues, sweeps and workers."""

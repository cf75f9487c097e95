"""The worker process: slots that execute, a heartbeat, a poll and the recovery."""

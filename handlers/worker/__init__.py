"""The worker: probes uploads and separates songs. The only part that runs ffmpeg and torch.

A message is only a wake-up. The worker claims the job by appending an attempt number,
works through the stages, and commits the end under that number; whoever was replaced
meanwhile finds its number stale and its result is discarded. The message is deleted
after the end is committed, so a worker that dies at any point is succeeded by another.
"""

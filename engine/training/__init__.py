"""The loop, tasks, optimizers, schedules and checkpoints."""

"""Building blocks of models and training loops: layers, optimizers, schedules, devices, seeds."""

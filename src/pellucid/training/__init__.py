"""Training: configs, tasks, and one loop. Inference imports nothing from here."""

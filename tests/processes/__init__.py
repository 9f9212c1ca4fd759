"""Workers, schedulers and web servers as real processes, with real signals."""

"""Workers, schedulers and web servers as real processes, which meet real signals."""

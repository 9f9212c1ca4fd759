"""Commands of the command line that are more than one call of a service: backups, restores, the list of erasures."""

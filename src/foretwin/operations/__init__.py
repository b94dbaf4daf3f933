"""The operator's kit: settings, checks, health of the processes; backup, restore and migration of a project."""

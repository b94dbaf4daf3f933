"""The operator's kit: settings as they hold, checks of an installation, health of the processes."""

"""Tables beside the readings: failures, maintenance, events and assets, joined to these by machine and time."""

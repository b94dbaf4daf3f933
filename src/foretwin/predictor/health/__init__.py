"""Health of a machine: its state and index, its own baseline, a failing sensor told from a failing machine."""

"""Commands that operate a project as a whole: backup, restore, migration of its store."""

"""What ages out of the store: archives, readings and other records that are due, hours, holds."""

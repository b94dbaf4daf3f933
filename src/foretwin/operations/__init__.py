"""What an operator does with a whole project: back it up, restore it elsewhere, move its store to PostgreSQL."""

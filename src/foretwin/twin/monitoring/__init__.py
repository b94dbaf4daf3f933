"""The monitor: recent readings and scores against what the champion was trained on, and against what became true."""

"""What technicians found, as labelled runs for training."""

"""What-if: remaining life of an asset under another duty."""

"""Files of waveforms: cut into snapshots, each of which becomes one row with its features."""

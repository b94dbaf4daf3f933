"""The scoring service: windows of sensor readings in, remaining life, faults and their proof out, over HTTP."""

"""The scoring service: windows of readings in; RUL, faults and model identity out, over HTTP."""

"""Tables of readings, intervals, register checkpoints, quality flags and indicator values."""

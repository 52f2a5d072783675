"""Commands of one machine: demo, local servers, simulate, doctor."""

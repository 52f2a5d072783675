"""Core of metering: from a message to interval quantities, as pure functions over columns."""

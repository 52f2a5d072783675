"""The core of metering: from a message to interval quantities. Pure functions over columns."""

"""Contents of published formats, independent of their encoding in bytes."""

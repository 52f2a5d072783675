"""Tables of the archive, and joint reading of archived and stored readings."""

"""The core of monitoring, reporting and verification: from intervals to a signed statement."""

import ingest  # noqa: F401 - its settings of numpy, before numpy

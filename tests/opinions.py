"""What a verifier of the tests concludes, over whatever conditions do not hold."""

from mrv.statement.credentials import Finding


def concluded(opinion, assurance="reasonable"):
    """Conclude, with a reason for conditions that do not hold."""
    return Finding(opinion, assurance, "5", (), "the plan of the plant was seen on paper")

"""Numbers that mean one thing: metrics with explicit settings, published protocols, reports."""

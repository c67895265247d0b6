"""What is seen of a run while it trains: log, console, trackers, where time and memory go."""

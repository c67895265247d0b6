"""The report: one page that shows the numbers of a run, where they come from, and every error to see and to hear."""

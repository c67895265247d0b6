"""What an error rate on clean test clips does not tell: noise, silence, quiet speech, long recordings, times."""

"""What a run leaves behind so that it can go on: sealed folders in a scratch folder of its own."""

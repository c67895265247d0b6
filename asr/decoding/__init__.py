"""From waveforms to text with a trained model (stages train and evaluate)."""

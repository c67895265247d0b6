"""Reproducible Whisper fine-tuning for low-resource languages: the library behind `stages/`."""

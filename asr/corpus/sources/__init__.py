"""How a corpus is read: sample, folder, manifest, Parquet, Hub; and what is refused there."""

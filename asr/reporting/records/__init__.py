"""Small files about a run that other tools and readers expect, in `plots/records`."""

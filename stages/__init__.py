"""One thin standalone script a stage; `dvc.yaml` declares them in this order."""

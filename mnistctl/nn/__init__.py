"""What models and training loops are built from."""

"""Data: the IDX format, data sets, downloads, batches on a device, and images from files."""

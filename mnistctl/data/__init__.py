"""From a mirror to a batch: the IDX format, data sets, downloads, digits on a device, photos."""

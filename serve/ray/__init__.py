"""The Ray Data job: images in stores on the machines of a cluster. Importing this does nothing."""

"""What front ends that work through many images share. Importing this does nothing."""

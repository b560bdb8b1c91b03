"""What upstream's scripts make: pictures, points and videos in one flat folder."""

"""What flows between the stages: images, depth maps, artifacts, stores. Imports nothing of ours."""

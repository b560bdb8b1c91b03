"""What the demo model is trained on: scenes, and how they are drawn."""

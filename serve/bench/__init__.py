"""How fast an artifact answers: cold start, network alone, folder of images, memory."""

"""The bundled demo model: its scenes, its training, its evaluation."""

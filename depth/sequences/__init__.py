"""Frames in order: where shots begin, how depth of neighbours agrees, and how much it flickers."""

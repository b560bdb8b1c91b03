"""Files of presets, read by the code of the tools that they are for."""

"""Host work between and after the stages of a network: the code of depth/artifact/steps.py."""

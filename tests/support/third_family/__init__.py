"""A family like no other here: a small network of convolutions that gives depth and confidence.

It has no attention, takes multiples of 32 px with mean 0.5, bounds the long side, and its
confidence is half as large as its depth. Nothing in compile/, serve/ or depth/ is written for it.
"""

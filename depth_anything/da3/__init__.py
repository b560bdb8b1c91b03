"""`python main.py da3`: the commands of Depth Anything 3, on our programs."""

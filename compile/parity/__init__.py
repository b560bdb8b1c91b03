"""Does a saved program give the numbers of the eager float32 network?"""

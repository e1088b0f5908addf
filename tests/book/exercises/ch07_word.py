"""ch07-word: a name with a word that training never had."""

SETUP = ""
STUB = """
def renamed(name, swap):
    return name    # with each word of `swap` exchanged
"""
CHECK = """
assert renamed("red tank", {"red": "crimson"}) == "crimson tank"
assert renamed("dark red hall", {"red": "crimson"}) == "dark crimson hall"
"""
SOLUTION = """
def renamed(name, swap):
    return " ".join(swap.get(word, word) for word in name.split())
"""

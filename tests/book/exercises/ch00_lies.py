"""ch00-lies: turn one word of a caption into a lie."""

SETUP = ""
STUB = """
def lie(text, swap):
    return text    # with each word of `swap` exchanged
"""
CHECK = """
assert lie("two white planes", {"white": "red"}) == "two red planes"
assert lie("a whitewashed wall", {"white": "red"}) == "a whitewashed wall"
"""
SOLUTION = """
def lie(text, swap):
    return " ".join(swap.get(word, word) for word in text.split())
"""

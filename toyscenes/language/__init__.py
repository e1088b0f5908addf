"""How a picture is told: words, grammar, captions."""

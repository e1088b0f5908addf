"""Captions from facts: noun phrases, then sentences.

A phrase says no more than the facts do. Which true thing to say, and
how, is drawn at random.
"""

from toyscenes.language.words import (
    NOUNS,
    NUMBERS,
    PICTURE,
    PLACES,
    PREPOSITIONS,
    SETTINGS,
    SIZES,
    VERBS,
    article,
)


class Phrase:
    """A noun phrase: its text, and whether it is plural."""

    def __init__(self, text, plural):
        self.text, self.plural = text, plural

    @property
    def be(self):
        return "are" if self.plural else "is"

    @property
    def there(self):
        return f"there {self.be}"


class Speaker:
    """Turns the facts of one stage into sentences.

    Args:
        stage: a `Stage` that a scene has been drawn on.
        kind: the kind's words, a `kinds.Kind`.
        rng: random generator of the captions.
    """

    def __init__(self, stage, kind, rng):
        self.things = stage.things
        self.links = stage.links
        self.kind = kind
        self.used = []
        self.rng = rng

    def choose(self, options):
        return options[int(self.rng.integers(len(options)))]

    def maybe(self, share):
        return bool(self.rng.random() < share)

    # phrases ----------------------------------------------------------
    def quantity(self, thing):
        """A word for how many, and whether it already says "of"."""
        n = thing.count
        exact = NUMBERS[n] if n < len(NUMBERS) else ""
        loose = []
        if n == 2:
            loose = ["a couple of"]
        elif n == 3:
            loose = ["a few"]
        elif n == 4:
            loose = ["a few", "several"]
        elif 5 <= n <= 9:
            loose = ["several", "some"]
        elif n >= 10:
            loose = [w for w in _vague(n) if w]
        if thing.row:
            loose.append("a row of")
        if exact and self.maybe(0.72):
            return exact
        return self.choose(loose)

    def noun_phrase(self, thing, detail=0.75):
        """A thing with number, size, colour: "two small white planes"."""
        noun = NOUNS[thing.label]
        one, many = self.choose(noun.forms)
        if thing.colour and "green" in one + many:
            one, many = noun.forms[0]
        words = []
        if thing.size and self.maybe(detail * 0.8):
            words.append(self.choose(SIZES[thing.size]))
        if thing.shape and self.maybe(detail * 0.7):
            words.append(thing.shape)
        if thing.colour and (self.maybe(detail) or not thing.whole):
            words.append(thing.colour)
        if thing.crowd:
            amount = self.choose(_vague(thing.crowd))
            text = " ".join(w for w in (amount, *words, many) if w)
            return Phrase(text, True)
        if thing.count > 1:
            amount = self.quantity(thing)
            text = " ".join([amount, *words, many])
            return Phrase(text, not amount.endswith("row of"))
        if not many:
            words = [] if one.startswith("the ") else words
            return Phrase(_join(words, one), False)
        if not one:
            lead = "some" if not words and self.maybe(0.25) else ""
            return Phrase(" ".join(w for w in (lead, _join(words, many)) if w), True)
        return Phrase(article(_join(words, one)), False)

    def definite(self, thing):
        """The thing again: "the planes"."""
        one, many = NOUNS[thing.label].forms[0]
        which = "the " if thing.whole else f"the {thing.colour} "
        if thing.count > 1 or thing.crowd or not one:
            return Phrase(which + many, True)
        return Phrase(which + one, False)

    def place(self, thing, share=0.6):
        """Where in the picture, or nothing."""
        if not thing.place or not self.maybe(share):
            return ""
        where = self.choose(PLACES[thing.place])
        if self.maybe(0.4):
            where += f" of the {self.choose(PICTURE)}"
        return where

    def where(self, link, second=None):
        """The tail of a relation: "parked next to a terminal"."""
        second = second or self.noun_phrase(link.second)
        tail = second.text
        if link.third is not None:
            tail += " and " + self.noun_phrase(link.third).text
        pose = self.choose(NOUNS[link.first.label].poses)
        preposition = self.choose(PREPOSITIONS[link.relation])
        return " ".join(w for w in (pose, preposition, tail) if w)

    def clause(self, link, first=None, second=None):
        """A whole clause: "two planes are parked next to a terminal"."""
        first = first or self.noun_phrase(link.first)
        second = second or self.noun_phrase(link.second)
        if link.relation in VERBS:
            verb = self.choose(VERBS[link.relation])[first.plural]
            tail = second.text
            if link.third is not None:
                tail += " and " + self.noun_phrase(link.third).text
            return f"{first.text} {verb} {tail}"
        return f"{first.text} {first.be} {self.where(link, second)}"

    # sentences --------------------------------------------------------
    def say_link(self):
        link = self._link()
        text = self.clause(link)
        where = self.place(link.first, 0.35)
        return f"{text} {where}" if where else text

    def say_exists(self):
        link = self._link(prepositional=True)
        if link is None:
            return ""
        first = self.noun_phrase(link.first)
        return f"{first.there} {first.text} {self.where(link)}"

    def say_place(self):
        thing = self._placed()
        if thing is None:
            return ""
        first = self.noun_phrase(thing, 0.9)
        where = self.place(thing, 1.0)
        if self.maybe(0.5):
            return f"{where} {first.there} {first.text}"
        link = self._link_of(thing)
        tail = " " + self.where(link) if link and self.maybe(0.5) else ""
        return f"{where} {first.be} {first.text}{tail}"

    def say_kind_with(self):
        a, b = self._two()
        if a is None:
            return ""
        name = article(self.choose(self.kind.names))
        text = f"{name} with {self.noun_phrase(a).text}"
        if b is not None and self.maybe(0.75):
            text += f" and {self.noun_phrase(b).text}"
        return text

    def say_view(self):
        link = self._link(inside=False)
        if link is None:
            return ""
        view = self.choose(
            (
                "an aerial view of",
                "a bird's eye view of",
                "a look at",
                "an overhead picture of",
            )
        )
        name = article(self.choose(self.kind.names))
        return f"{view} {name} where {self.clause(link)}"

    def say_seen(self):
        a, b = self._two()
        if a is None:
            return ""
        text = self.noun_phrase(a, 0.9).text
        if b is not None:
            text += f" and {self.noun_phrase(b).text}"
        lead = self.choose(
            (
                "we can see",
                "one can see",
                "the picture shows",
                "this image contains",
                "you can find",
                "this view shows",
            )
        )
        name = article(self.choose(self.kind.names))
        tail = f" {self.kind.at} {name}" if self.maybe(0.35) else ""
        return f"{lead} {text}{tail}"

    def say_pair(self):
        one, two = self._two_links()
        joint = self.choose((" , and ", " while ", " and "))
        first = self.clause(one)
        if two is None:
            return first
        if two.first is one.first:
            if one.relation in VERBS or two.relation in VERBS:
                again = Phrase(
                    "they" if self.definite(two.first).plural else "it",
                    self.definite(two.first).plural,
                )
                return f"{first} , and {self.clause(two, again)}"
            return f"{first} and {self.where(two)}"
        again = None
        if two.first in (one.second, one.third):
            again = self.definite(two.first)
        known = (
            self.definite(two.second) if two.second in (one.first, one.second) else None
        )
        return first + joint + self.clause(two, again, known)

    def say_beside(self):
        link = self._link(prepositional=True)
        if link is None or link.relation not in ("beside", "on", "among", "along"):
            return ""
        first = self.noun_phrase(link.first, 0.9)
        where = self.choose(PREPOSITIONS[link.relation])
        second = self.noun_phrase(link.second).text
        return f"{where} {second} {first.there} {first.text}"

    def say_short(self):
        link = self._link(prepositional=True)
        if link is None:
            return ""
        first = self.noun_phrase(link.first, 0.95)
        text = f"{first.text} {self.where(link)}"
        where = self.place(link.first, 0.5)
        return f"{text} {where}" if where else text

    def say_surround(self):
        links = [k for k in self.links if k.relation == "surrounded"]
        if not links:
            return ""
        link = self.choose(links)
        inner = self.noun_phrase(link.first)
        outer = self.noun_phrase(link.second)
        form = int(self.rng.integers(3))
        if form == 0:
            verb = "surround" if outer.plural else "surrounds"
            return f"{outer.text} {verb} {inner.text}"
        where = self.place(link.first, 0.8) or "here"
        if form == 1 and where != "here":
            return (
                f"surrounded by {outer.text} , {inner.text} "
                f"{'lie' if inner.plural else 'lies'} {where}"
            )
        return f"{inner.text} with {outer.text} all around"

    def say_colour(self):
        marked = [t for t in self.things if t.colour and t.count and t.whole]
        if not marked:
            return ""
        thing = self.choose(marked)
        first = self.definite(thing)
        name = self.choose(self.kind.names)
        where = f"{self.kind.at} this {name}"
        if thing.place and self.maybe(0.5):
            where = self.place(thing, 1.0)
        link = self._link_of(thing)
        if link is not None and self.maybe(0.5):
            be = "are" if first.plural else "is"
            return (
                f"the {first.text[4:]} {where} {be} "
                f"{thing.colour} and {be} {self.where(link)}"
            )
        return f"the {first.text[4:]} {where} {first.be} {thing.colour}"

    def say_count(self):
        counted = [t for t in self.things if 1 < t.count < len(NUMBERS)]
        if not counted:
            return ""
        thing = self.choose(counted)
        words = [thing.size] if thing.size else []
        if thing.colour:
            words.append(thing.colour)
        many = self.choose(NOUNS[thing.label].forms)[1]
        text = " ".join([NUMBERS[thing.count], *words, many])
        name = self.choose(self.kind.names)
        verb = self.choose(("can be seen", "are visible", "can be counted"))
        return f"{text} {verb} {self.kind.at} this {name}"

    FORMS = (
        (say_link, 5),
        (say_exists, 3),
        (say_place, 3),
        (say_kind_with, 3),
        (say_view, 2),
        (say_seen, 2),
        (say_pair, 4),
        (say_beside, 2),
        (say_short, 2),
        (say_surround, 2),
        (say_colour, 1),
        (say_count, 1.5),
    )

    def sentence(self, shortest=6, longest=19):
        """One specific caption of about 6 to 19 words, no full stop.

        Forms that this picture has used already come up less often.
        """
        for _ in range(40):
            weights = [w / (1 + 4 * self.used.count(f)) for f, w in self.FORMS]
            draw = self.rng.random() * sum(weights)
            for (form, _), weight in zip(self.FORMS, weights):
                draw -= weight
                if draw < 0:
                    break
            text = form(self)
            words = text.split()
            if shortest <= len(words) <= longest and _fluent(words):
                self.used.append(form)
                return text
        return self.say_link()

    # choice of facts --------------------------------------------------
    def _link(self, prepositional=False, inside=True):
        links = [
            k
            for k in self.links
            if (not prepositional or k.relation in PREPOSITIONS)
            and (inside or not self._setting(k.first) and not self._setting(k.second))
        ]
        return self._weighted(links) if links else None

    def _weighted(self, items):
        """Earlier facts matter more, so they are said more often."""
        weights = [1.0 / (1 + 0.35 * k) for k in range(len(items))]
        draw = self.rng.random() * sum(weights)
        for item, weight in zip(items, weights):
            draw -= weight
            if draw < 0:
                return item
        return items[-1]

    def _link_of(self, thing):
        links = [
            k for k in self.links if k.first is thing and k.relation in PREPOSITIONS
        ]
        return self.choose(links) if links else None

    def _placed(self):
        placed = [t for t in self.things if t.place]
        return self._weighted(placed) if placed else None

    def _two(self):
        parts = [t for t in self.things if not self._setting(t)]
        if not parts:
            return None, None
        a = self._weighted(parts)
        rest = [t for t in parts if t is not a and t.label != a.label]
        return a, (self._weighted(rest) if rest else None)

    def _setting(self, thing):
        """Whether a thing is the scene itself rather than a part."""
        one = NOUNS[thing.label].forms[0][0]
        return thing.label in SETTINGS or (
            one and any(one in name for name in self.kind.names)
        )

    def _two_links(self):
        one = self._weighted(self.links)
        rest = [
            k for k in self.links if k is not one and k.second.label != one.second.label
        ]
        return one, (self._weighted(rest) if rest else None)


def _vague(n):
    """Words for about `n`."""
    if n >= 24:
        return ("many", "dozens of", "lots of", "a great many", "")
    if n >= 9:
        return ("many", "a lot of", "a number of", "")
    if n >= 4:
        return ("several", "some", "some", "")
    return ("some", "a few", "")


def _join(words, noun):
    """Adjectives before a noun; none is said twice."""
    kept = [w for w in words if w not in noun.split()]
    return " ".join([*kept, noun])


def _fluent(words):
    """No word follows itself, no noun is piled up three times."""
    if any(a == b for a, b in zip(words, words[1:])):
        return False
    content = [w for w in words if len(w) > 4]
    return all(content.count(w) < 3 for w in content)

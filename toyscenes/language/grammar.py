"""Captions from facts: noun phrases, then sentences.

A phrase says no more than the facts do. Which true thing to say, and
how, is drawn at random.
"""

from typing import NamedTuple

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

SHORTEST, LONGEST = 6, 19  # words in a sentence
LOOSE = {2: ("a couple of",), 3: ("a few",), 4: ("a few", "several")}
VIEWS = "an aerial view of,a bird's eye view of,a look at,an overhead picture of"
LEADS = "we can see,one can see,the picture shows,this image contains,you can find"
LEADS += ",this view shows"


class Phrase(NamedTuple):
    """A noun phrase, and whether it is plural."""

    text: str
    plural: bool

    @property
    def be(self):
        return "are" if self.plural else "is"


class Speaker:
    """Turns the facts of a drawn `Stage` into sentences about its `Kind`."""

    def __init__(self, stage, kind, rng):
        self.things, self.links = stage.things, stage.links
        self.kind, self.rng, self.used = kind, rng, []

    def sentence(self):
        """One specific caption of about 6 to 19 words, no full stop.

        Forms that this picture has used already come up less often.
        """
        for _ in range(40):
            weights = [w / (1 + 4 * self.used.count(f)) for f, w in self.FORMS]
            form, _ = self._weighted(self.FORMS, weights)
            text = form(self)
            words = text.split()
            if SHORTEST <= len(words) <= LONGEST and _fluent(words):
                self.used.append(form)
                return text
        return self.say_link()

    def choose(self, options):
        return options[int(self.rng.integers(len(options)))]

    def maybe(self, share):
        return bool(self.rng.random() < share)

    def _weighted(self, items, weights):
        draw = self.rng.random() * sum(weights)
        for item, weight in zip(items, weights):
            draw -= weight
            if draw < 0:
                return item
        return items[-1]

    def _early(self, items):
        """One of some facts, an early one more often; None of none."""
        weights = [1.0 / (1 + 0.35 * k) for k in range(len(items))]
        return self._weighted(items, weights) if items else None

    def quantity(self, thing):
        """A word for how many, exact or vague."""
        n = thing.count
        loose = [w for w in _vague(n) if w]
        if n < 10:
            loose = list(LOOSE.get(n, ("several", "some")))
        loose += ["a row of"] if thing.row else []
        if n < len(NUMBERS) and self.maybe(0.72):
            return NUMBERS[n]
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
            return Phrase(_said(self.choose(_vague(thing.crowd)), *words, many), True)
        if thing.count > 1:
            amount = self.quantity(thing)
            return Phrase(_said(amount, *words, many), not amount.endswith("row of"))
        if not many:
            words = [] if one.startswith("the ") else words
            return Phrase(_adorned(words, one), False)
        if not one:
            some = "some" if not words and self.maybe(0.25) else ""
            return Phrase(_said(some, _adorned(words, many)), True)
        return Phrase(article(_adorned(words, one)), False)

    def definite(self, thing):
        """The thing again: "the planes"."""
        one, many = NOUNS[thing.label].forms[0]
        plural = thing.count > 1 or thing.crowd or not one
        which = "" if thing.whole else thing.colour
        return Phrase(_said("the", which, many if plural else one), bool(plural))

    def name(self):
        """What the scene is called: "an airport"."""
        return article(self.choose(self.kind.names))

    def place(self, thing, share):
        """Where in the picture, or nothing."""
        if not thing.place or not self.maybe(share):
            return ""
        where = self.choose(PLACES[thing.place])
        if self.maybe(0.4):
            where += f" of the {self.choose(PICTURE)}"
        return where

    def where(self, link, second=None):
        """The tail of a relation: "parked next to a terminal"."""
        end = self._end(link, second or self.noun_phrase(link.second))
        pose = self.choose(NOUNS[link.first.label].poses)
        return _said(pose, self.choose(PREPOSITIONS[link.relation]), end)

    def clause(self, link, first=None, second=None):
        """A whole clause: "two planes are parked next to a terminal"."""
        first = first or self.noun_phrase(link.first)
        second = second or self.noun_phrase(link.second)
        if link.relation not in VERBS:
            return f"{first.text} {first.be} {self.where(link, second)}"
        verb = self.choose(VERBS[link.relation])[first.plural]
        return f"{first.text} {verb} {self._end(link, second)}"

    def _end(self, link, second):
        if link.third is None:
            return second.text
        return f"{second.text} and {self.noun_phrase(link.third).text}"

    # sentences: each says "" when the picture has no such fact ---------
    def say_link(self):
        link = self._early(self.links)
        return _said(self.clause(link), self.place(link.first, 0.35))

    def say_exists(self):
        link = self._spatial()
        if link is None:
            return ""
        first = self.noun_phrase(link.first)
        return f"there {first.be} {first.text} {self.where(link)}"

    def say_place(self):
        thing = self._early([t for t in self.things if t.place])
        if thing is None:
            return ""
        first = self.noun_phrase(thing, 0.9)
        where = self.place(thing, 1.0)
        if self.maybe(0.5):
            return f"{where} there {first.be} {first.text}"
        link = self._spatial_of(thing)
        tail = self.where(link) if link and self.maybe(0.5) else ""
        return _said(where, first.be, first.text, tail)

    def say_kind_with(self):
        a, b = self._two_things()
        if a is None:
            return ""
        text = f"{self.name()} with {self.noun_phrase(a).text}"
        if b is not None and self.maybe(0.75):
            text += f" and {self.noun_phrase(b).text}"
        return text

    def say_view(self):
        parts = [k for k in self.links if not self._whole(k.first)]
        link = self._early([k for k in parts if not self._whole(k.second)])
        if link is None:
            return ""
        return (
            f"{self.choose(VIEWS.split(','))} {self.name()} where {self.clause(link)}"
        )

    def say_seen(self):
        a, b = self._two_things()
        if a is None:
            return ""
        text = self.noun_phrase(a, 0.9).text
        if b is not None:
            text += f" and {self.noun_phrase(b).text}"
        lead, name = self.choose(LEADS.split(",")), self.name()
        return _said(lead, text, f"{self.kind.at} {name}" if self.maybe(0.35) else "")

    def say_pair(self):
        one = self._early(self.links)
        two = self._early([k for k in self.links if k.second.label != one.second.label])
        joint = self.choose((" , and ", " while ", " and "))
        first = self.clause(one)
        if two is None:
            return first
        if two.first is one.first:
            if one.relation not in VERBS and two.relation not in VERBS:
                return f"{first} and {self.where(two)}"
            plural = self.definite(two.first).plural
            again = Phrase("they" if plural else "it", plural)
            return f"{first} , and {self.clause(two, again)}"
        again = known = None
        if two.first in (one.second, one.third):
            again = self.definite(two.first)
        if two.second in (one.first, one.second):
            known = self.definite(two.second)
        return first + joint + self.clause(two, again, known)

    def say_beside(self):
        link = self._spatial()
        if link is None or link.relation not in ("beside", "on", "among", "along"):
            return ""
        first = self.noun_phrase(link.first, 0.9)
        where = self.choose(PREPOSITIONS[link.relation])
        second = self.noun_phrase(link.second).text
        return f"{where} {second} there {first.be} {first.text}"

    def say_short(self):
        link = self._spatial()
        if link is None:
            return ""
        first = self.noun_phrase(link.first, 0.95).text
        return _said(first, self.where(link), self.place(link.first, 0.5))

    def say_surround(self):
        links = [k for k in self.links if k.relation == "surrounded"]
        if not links:
            return ""
        link = self.choose(links)
        inner, outer = self.noun_phrase(link.first), self.noun_phrase(link.second)
        form = int(self.rng.integers(3))
        if form == 0:
            verb = "surround" if outer.plural else "surrounds"
            return f"{outer.text} {verb} {inner.text}"
        where = self.place(link.first, 0.8)
        if form == 1 and where:
            verb = "lie" if inner.plural else "lies"
            return f"surrounded by {outer.text} , {inner.text} {verb} {where}"
        return f"{inner.text} with {outer.text} all around"

    def say_colour(self):
        marked = [t for t in self.things if t.colour and t.count and t.whole]
        if not marked:
            return ""
        thing = self.choose(marked)
        first = self.definite(thing)
        where = f"{self.kind.at} this {self.choose(self.kind.names)}"
        if thing.place and self.maybe(0.5):
            where = self.place(thing, 1.0)
        text = f"{first.text} {where} {first.be} {thing.colour}"
        link = self._spatial_of(thing)
        if link is not None and self.maybe(0.5):
            text += f" and {first.be} {self.where(link)}"
        return text

    def say_count(self):
        counted = [t for t in self.things if 1 < t.count < len(NUMBERS)]
        if not counted:
            return ""
        thing = self.choose(counted)
        _, many = self.choose(NOUNS[thing.label].forms)
        text = _said(NUMBERS[thing.count], thing.size, thing.colour, many)
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

    def _spatial(self):
        """A link with a preposition, or None."""
        return self._early([k for k in self.links if k.relation in PREPOSITIONS])

    def _spatial_of(self, thing):
        own = [k for k in self.links if k.first is thing]
        links = [k for k in own if k.relation in PREPOSITIONS]
        return self.choose(links) if links else None

    def _two_things(self):
        """Two parts of the scene of different labels; None for missing."""
        parts = [t for t in self.things if not self._whole(t)]
        a = self._early(parts)
        return a, self._early([t for t in parts if t.label != a.label])

    def _whole(self, thing):
        """Whether a thing is the scene itself rather than a part."""
        one, names = NOUNS[thing.label].forms[0][0], self.kind.names
        return thing.label in SETTINGS or one and any(one in name for name in names)


def _vague(n):
    """Words for about `n`."""
    if n >= 24:
        return ("many", "dozens of", "lots of", "a great many", "")
    if n >= 9:
        return ("many", "a lot of", "a number of", "")
    if n >= 4:
        return ("several", "some", "some", "")
    return ("some", "a few", "")


def _said(*words):
    """Words with spaces between them; empty ones are left out."""
    return " ".join(w for w in words if w)


def _adorned(words, noun):
    """Adjectives before a noun; none is said twice."""
    return " ".join([*(w for w in words if w not in noun.split()), noun])


def _fluent(words):
    """No word follows itself, no noun is piled up three times."""
    if any(a == b for a, b in zip(words, words[1:])):
        return False
    content = [w for w in words if len(w) > 4]
    return all(content.count(w) < 3 for w in content)

"""Five captions and some keywords for one picture."""

from toyscenes.language.grammar import Speaker
from toyscenes.language.kind_words import KIND_WORDS
from toyscenes.language.words import NOUNS, SETTINGS

PER_PICTURE = 5


def describe(stage, rng, duplicates):
    """Five captions of a drawn stage, lower case, each ending in " .".

    `duplicates`, 0..1, is the share of captions that are general sentences of
    the kind, or repeat a sentence of this picture.
    """
    kind = KIND_WORDS[stage.kind]
    speaker = Speaker(stage, kind, rng)
    draws = rng.random((PER_PICTURE, 3))
    own = []
    for _ in range(PER_PICTURE):
        for _ in range(13):
            if (text := speaker.sentence()) not in own:
                break
        own.append(text)
    out = []
    for k, (share, which, index) in enumerate(draws):
        if share >= duplicates:
            out.append(own[k])
        elif which < 0.25 and out:
            out.append(out[int(index * len(out))])
        else:
            general = kind.general
            out.append(general[int(index * len(general))])
    return [text + " ." for text in out]


def keywords(stage):
    """Four to six words: the kind, its things, their colours."""
    words = [stage.kind]
    for thing in stage.things:
        one, many = NOUNS[thing.label].forms[0]
        if thing.label not in SETTINGS:
            plural = thing.count > 1 or thing.crowd or not one
            words.append(many if plural else one.removeprefix("the "))
    rest = [NOUNS[t.label].forms[0] for t in stage.things if t.label in SETTINGS]
    words += [t.colour for t in stage.things if t.colour]
    words += [t.size for t in stage.things if t.size]
    words += [(one or many).removeprefix("the ") for one, many in rest]
    words += KIND_WORDS[stage.kind].names
    return list(dict.fromkeys(words))[:6]

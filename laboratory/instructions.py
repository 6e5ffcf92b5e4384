"""Instructions made by rule, each word with its label: what the reader is trained on.

An instruction is a list of parts, a text and a mark: "+rainy" is wanted removed, "-rainy" kept,
"all" everything is wanted, "rest" nothing else is, "other" is not about degradations, and the empty
mark says nothing. Everything follows from the seed.
"""

from __future__ import annotations

import random

from laboratory import requests as say
from laboratory.scenes import ANIMALS, PEOPLE, scene
from laboratory.scenes import THINGS as OBJECTS
from pellucid.degradations import WORDS

Part = tuple[str, str]
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SHORT = {"please": "pls", "you": "u", "don't": "dont", "and": "n", "it's": "its", "the": "teh"}


def instruction(rng: random.Random) -> list[Part]:
    """Draw an instruction of one to about forty words."""
    parts = _Maker(rng).sentence()
    if rng.random() < 0.12:
        parts = [(text, mark) for text, mark in parts if text not in ("the", "it", "a", "is")]
    return [(_mistyped(text, rng), mark) for text, mark in parts] if rng.random() < 0.4 else parts


def _mistyped(text: str, rng: random.Random) -> str:
    """The same with slips of the fingers."""
    words = []
    for word in text.split():
        if word in SHORT and rng.random() < 0.2:
            word = SHORT[word]
        elif len(word) > 3 and rng.random() < 0.2:
            i, kind = rng.randrange(1, len(word) - 1), rng.randrange(4)
            new = {0: word[i + 1] + word[i], 1: word[i + 1], 2: word[i] * 2 + word[i + 1]}
            word = word[:i] + new.get(kind, rng.choice(LETTERS) + word[i + 1]) + word[i + 2 :]
        words.append(word)
    return " ".join(words)


class _Maker:
    def __init__(self, rng: random.Random):
        self.rng, self.one = rng, rng.choice
        self.left = rng.sample(WORDS, len(WORDS))  # each degradation is spoken of once

    def chance(self, share: float) -> bool:
        return self.rng.random() < share

    def sentence(self) -> list[Part]:
        draw = self.rng.random()
        if draw < 0.30:
            parts = self.wanted()
        elif draw < 0.46:
            parts = self.kept()
        elif draw < 0.72:
            parts = self.joined(self.wanted, self.kept)
        elif draw < 0.78:
            parts = self.joined(self.wanted, self.wanted)
        elif draw < 0.84:
            parts = self.whole()
        elif draw < 0.92:
            parts = self.other()
        else:
            parts = self.joined(self.one((self.wanted, self.kept)), self.other)
        if self.chance(0.06):
            parts = self.joined(lambda: parts, lambda: [(self.one(say.NOTHING_ELSE), "rest")])
        return self.dressed(parts)

    def dressed(self, parts: list[Part]) -> list[Part]:
        """With politeness, reasons and context around it."""
        if self.chance(0.4):
            parts = [(self.one(say.OPENINGS), ""), *parts]
        if self.chance(0.3):
            parts = [*parts, (self.one(("", ", ")) + self.one(say.ENDINGS), "")]
        if self.chance(0.15):
            extra = self.one(say.REASONS) if self.chance(0.6) else self.context()
            sign = self.one((",", ".", "", " -", ";"))
            if self.chance(0.5):
                parts = [(extra + sign, ""), *parts]
            else:
                parts = [*parts, (sign + " " + extra, "")]
        return [*parts, (self.one((".", "!", "?", "...")), "")] if self.chance(0.3) else parts

    def context(self) -> str:
        return self.one(("this is a picture of ", "here is my photo of ", "it shows ")) + scene(
            self.rng
        )

    def joined(self, first, second) -> list[Part]:
        """Two clauses in either order."""
        a, b = first(), second()
        if self.chance(0.3):
            a, b = b, a
        signs = " but|, but| and|,|.|;| but please| though| and also|, just| however| yet| -|, then"
        return [*a, (self.one(signs.split("|")), ""), *b]

    # names ---------------------------------------------------------------------

    def noun(self, sign: str) -> list[Part]:
        """ "the heavy rain", at times with a place or in a picture of something."""
        word = self.left.pop()
        before = self.one(("the", "the", "the", "", "all the", "this", "that", "any", "the ugly"))
        parts = [(before, ""), (self.one(say.NAMES[word].nouns), sign + word)]
        if self.chance(0.12):
            parts.append((self.one(say.PLACES), ""))
        elif self.chance(0.06):
            of = self.one(("in my photo of ", "from this picture of ", "in the shot of "))
            parts.append((of + scene(self.rng), ""))
        return parts

    def nouns(self, sign: str) -> list[Part]:
        """One to three of them."""
        parts = self.noun(sign)
        for _ in range(self.one((0, 0, 0, 0, 0, 1, 1, 2))):
            joint = self.one(("and", "and", ",", "&", "as well as", "plus", "and also"))
            parts += [(joint, ""), *self.noun(sign)]
        return parts

    def having(self, field: str) -> tuple[str, str]:
        """A degradation that has such names, and one of them."""
        named = [word for word in say.NAMES if getattr(say.NAMES[word], field)]
        word = self.one([word for word in named if word in self.left] or named)
        self.left = [other for other in self.left if other != word]
        return word, self.one(getattr(say.NAMES[word], field))

    def framed(self, frame: str, parts: list[Part]) -> list[Part]:
        """A verb around its object: "take|away"."""
        before, _, after = frame.partition("|")
        return [(before, ""), *parts, (after, "")]

    # what is to go ---------------------------------------------------------------

    def wanted(self) -> list[Part]:
        draw = self.rng.random()
        if draw < 0.30:
            return self.removed()
        if draw < 0.38:
            frame = self.one(say.HAVE)
            return self.framed(frame, self.nouns("+"))
        if draw < 0.46:
            return [*self.noun("+"), (self.one(say.GONE), "")]
        if draw < 0.60:
            return self.complaint()
        if draw < 0.70:
            word, verb = self.having("verbs")
            return [(verb, "+" + word), (self.one(("", *say.THINGS)), "")]
        if draw < 0.80:
            word, better = self.having("better")
            frame = (
                "make it|,make it|,can it be|,it should be|,i want it|,get it|,make this|,a bit|,"
            )
            frame += "make my photo|,needs to be|,should look|,make them|,make it look|,turn it|"
            return self.framed(self.one(frame.split(",")), [(better, "+" + word)])
        if draw < 0.86:
            word, doing = self.having("doing")
            frames = "|,do some|,apply|,some|please,needs|,a little|,it needs|,use|,run|,i need|"
            return self.framed(self.one(frames.split(",")), [(doing, "+" + word)])
        if draw < 0.90:
            word, gain = self.having("gains")
            frames = "more|,give it more|,i need more|,some more|,more|please,add|,it lacks|,needs|"
            return self.framed(self.one(frames.split(",")), [(gain, "+" + word)])
        word, clause = self.having("clauses" if self.chance(0.6) else "orders")
        if self.chance(0.4):
            clause_parts = [(clause + self.one((",", ".", " and", ";")), "+" + word)]
            follow = "can you fix it,fix that,help,please repair,can that go,do something,undo that"
            return [*clause_parts, (self.one(follow.split(",")), "")]
        return [(clause, "+" + word)]

    def removed(self) -> list[Part]:
        verb = self.one(say.REMOVE)
        parts = self.framed(verb, self.nouns("+"))
        if self.chance(0.1):
            parts = [(self.one(("only", "just")), ""), *parts]
        if self.chance(0.12):  # "remove the rain but not the fog"
            but = self.one(("but not", "not", "and not", "except", "but leave", "but never"))
            parts += [(but, ""), *self.noun("-")]
        return parts

    def complaint(self) -> list[Part]:
        """ "it is too dark and grainy", "make it less foggy"."""
        word, adjective = self.having("adjectives")
        frames = (
            "it is|,it's|,it's too|,my photo is|,the picture is|,too|,so|,it looks|,it came out|,"
            "why is it so|,it is way too|,it is all|,make it less|,make it not so|,it's really|,"
            "the photo came out|,not so|please,it shouldn't be so|,it turned out|,|,|photo,less|,"
            "the picture's|and i hate it,i don't like how|it is,a|mess,this|thing,everything is|"
        )
        marked = [(adjective, "+" + word)]
        if self.chance(0.25):
            second, adjective = self.having("adjectives")
            marked += [(self.one(("and", ",", "and too", "and also")), "")]
            marked += [(adjective, "+" + second)]
        return self.framed(self.one(frames.split(",")), marked)

    # what is to stay -------------------------------------------------------------

    def kept(self) -> list[Part]:
        draw = self.rng.random()
        if draw < 0.34:
            return self.framed(self.one(say.KEEP), self.nouns("-"))
        if draw < 0.50:
            return [*self.noun("-"), (self.one(say.STAYS), "")]
        if draw < 0.72:
            word, adjective = self.having("adjectives")
            frames = (
                "keep it|,keep it|,leave it|,it must stay|,it should stay|,it is meant to be|,it's "
                "supposed to be|,i want it|,i like it|,it should remain|,let it stay|,stay|,it has "
                "to be|,i like how|it is,i love the|look,keep the|look,keep the|mood,leave the|"
                "feeling,|is fine,|is ok,it is not|,it isn't|,not|,i like that it is|,i want to "
                "keep it|,it is|on purpose,it is|and that is fine,keep everything|,it may be|,"
                "it can stay|,the|atmosphere should stay,preserve the|feel,i want the|look to stay"
            )
            return self.framed(self.one(frames.split(",")), [(adjective, "-" + word)])
        not_to = (
            "don't|,do not|,without|,never|,please don't|,you must not|,not|,no need to|,avoid|"
        )
        if draw < 0.82:
            word, verb = self.having("verbs" if self.chance(0.8) else "orders")
            parts = [(verb, "-" + word), (self.one(("", *say.THINGS, "anything")), "")]
            return self.framed(self.one(not_to.split(",")), parts)
        if draw < 0.90:
            word, better = self.having("better")
            frames = "don't make it|,do not make it|,without making it|,not|,no|,it must not get|,"
            frames += "without making it any|,it need not be|,i don't want it|,it should not be|"
            return self.framed(self.one(frames.split(",")), [(better, "-" + word)])
        field, frames = "doing", "no|,without|,don't do any|,no|please,i don't want|,skip the|,not|"
        if self.chance(0.3):
            field, frames = "gains", "no more|,don't add|,without more|,i don't need more|"
        word, name = self.having(field)
        return self.framed(self.one(frames.split(",")), [(name, "-" + word)])

    # everything, and what is something else --------------------------------------

    def whole(self) -> list[Part]:
        draw = self.rng.random()
        if draw < 0.45:
            return [(self.one(say.WHOLE), "all")]
        if draw < 0.75:
            verb = self.one([verb for verb in say.REMOVE if verb.endswith("|")])
            but = self.one(("except", "but", "except for", "apart from", "but not", "just not"))
            parts = [(self.one((verb[:-1], "fix", "")), ""), (self.one(say.ALL_OF_IT), "all")]
            return [*parts, (but, ""), *self.nouns("-")]
        first = [(self.one(say.WHOLE), "all")]
        return self.joined(lambda: first, self.kept if self.chance(0.7) else self.wanted)

    def other(self) -> list[Part]:
        if self.chance(0.45):
            return [(self.one(say.OTHER), "other")]
        thing = self.one(self.one((OBJECTS, PEOPLE, ANIMALS)))
        colour = self.one(say.COLOURS)
        which = f"{colour} {thing}" if self.chance(0.2) else thing
        draw = self.rng.random()
        if draw < 0.4:
            return [*self.framed(self.one(say.REMOVE), [("the", ""), (which, "other")])]
        if draw < 0.55:
            return [(self.one(("keep", "leave", "don't touch")), ""), ("the", ""), (which, "other")]
        frames = ("add a {}", "put a {} in the middle", "replace the {} by a dog", "paint the {}")
        frames += (f"make the {{}} {colour}", "make the {} bigger", "change the {}", "move the {}")
        frames += ("where is the {}", "is that a {}", "enlarge the {}", "more {}", "show me the {}")
        return [(self.one(frames).format(which), "other")]

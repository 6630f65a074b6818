"""How easy a text is to read, 0 (hard) to 100 and more (easy): one figure a language.

English: Flesch, "A new readability yardstick", 1948. French: Kandel and Moles, "Application de
l'indice de Flesch à la langue française", 1958, the same scale fitted to longer French words.
Syllables are counted by groups of vowels with the usual silent endings. Of some fifty words of the
pages in each language two are off by one, to either side.
"""

from __future__ import annotations

import re

_SENTENCE_END = re.compile(r"[.!?:;…\n]+(?:\s|$)")
_FULL_STOP = re.compile(r"[.!?…\n]+(?:\s|$)")
_WORD = re.compile(r"[^\W\d_]+(?:[’'][^\W\d_]+)*|\d+")
_ENGLISH_VOWELS = re.compile(r"[aeiouy]+")
_FRENCH_VOWELS = re.compile(r"[aàâeéèêëiîïoôuùûüyœæ]+")


def reading_ease(text: str, lang: str) -> float:
    """The figure of a text; headings and lines of a list count as sentences."""
    sentences = [found for part in _SENTENCE_END.split(text) if (found := _WORD.findall(part))]
    words = [word for sentence in sentences for word in sentence]
    per_sentence = len(words) / len(sentences)
    count = _french_syllables if lang == "fr" else _english_syllables
    per_word = sum(count(word.lower()) for word in words) / len(words)
    if lang == "fr":
        return 207 - 1.015 * per_sentence - 73.6 * per_word
    return 206.835 - 1.015 * per_sentence - 84.6 * per_word


def longest_sentence(text: str) -> int:
    """Words in the longest sentence of a text; a colon or a semicolon does not end one."""
    return max(len(_WORD.findall(part)) for part in _FULL_STOP.split(text))


def _english_syllables(word: str) -> int:
    word = word.replace("’", "")
    count = len(_ENGLISH_VOWELS.findall(word))
    if re.search(r"[^aeiouyl]e$|[^aeiouytd]ed$|[^aeiouyscxzgh]es$|[^aeiouy]les$", word):
        count -= 1  # take, looked, makes
    if re.search(r"[aeiou]l(e|es|ed)$", word):
        count -= 1  # while, files
    count += len(re.findall(r"ia(?!l)|io(?!n|us)|(?<!g)ua|eo(?!ple)|i(?:ng)(?<=[aeiouy]ing)", word))
    return max(count, 1)


def _french_syllables(word: str) -> int:
    # What is elided is said with what follows: « l’image » has two.
    *elided, last = word.split("’")
    parts = [*(part for part in elided if len(part) > 2), last]
    return max(sum(_french_part(part) for part in parts), 1)


def _french_part(part: str) -> int:
    part = re.sub(r"qu|gu(?=[eéèi])", "k", part)
    count = len(_FRENCH_VOWELS.findall(part))
    silent = re.search(r"[^aàâeéèêiîoôuùy]es?$|[^aàâeéèêiîoôuùym]ent$", part)  # image, trouvent
    if count > 1 and silent:
        count -= 1
    parted = r"é[aoui]|ée(?=r)|[aou]ï|(?<=[bcdfgptv][lr])i(?=[aeo])(?!es?$)|(?<=[aou])y(?=[aeéiou])"
    return count + len(re.findall(parted, part))

"""Spell-check the prose of notebooks and pages: spell.py WORDS FILE...

WORDS lists what the dictionary lacks: terms of the field, names, British spellings. Exit status 1 if a word is unknown."""
import json
import re
import sys

from spylls.hunspell import Dictionary

# What is not prose: code, mathematics, links' targets, markup, addresses.
NOT_PROSE = re.compile(
    r"```.*?```|^ {4}.*?$|`[^`\n]*`|\$\$.*?\$\$|\$[^$\n]*\$|\]\([^)]*\)|<[^>]*>|https?://\S+", re.DOTALL | re.MULTILINE)
WORD = re.compile(r"[A-Za-zÀ-ɏ]+(?:['’][A-Za-z]+)?")


def prose(path):
    with open(path, encoding="utf-8") as file:
        if not path.endswith(".ipynb"):
            yield "", file.read()
            return
        for cell in json.load(file)["cells"]:
            if cell["cell_type"] == "markdown":
                yield cell["id"], "".join(cell["source"])


def main(words, paths):
    dictionary = Dictionary.from_files("en_US")
    with open(words, encoding="utf-8") as file:
        known = {line.strip().lower() for line in file if line.strip() and not line.startswith("#")}
    unknown = 0
    for path in paths:
        for place, text in prose(path):
            for word in WORD.findall(NOT_PROSE.sub(" ", text)):
                word = word.replace("’", "'")
                plain = word.removesuffix("'s")
                if len(plain) < 3 or {word.lower(), plain.lower()} & known or dictionary.lookup(plain) or dictionary.lookup(word):
                    continue
                known.add(plain.lower())
                unknown += 1
                print(f"{path} {place}: {word}")
    if unknown:
        sys.exit(f"{unknown} unknown words: mend them, or add what is right to {words}")


main(sys.argv[1], sys.argv[2:])

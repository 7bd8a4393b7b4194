"""Presidio's pattern recognizers, without a language model. Usage: presidio_patterns.py LINES

Prints one line of JSON: megabytes per CPU second and the number of findings."""

import json
import sys
import time

import spacy
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine


class Blank(NlpEngine):
    """Tokens only: patterns need no model."""

    def __init__(self):
        self.nlp = spacy.blank("en")

    def load(self):
        pass

    def is_loaded(self):
        return True

    def process_text(self, text, language):
        doc = self.nlp(text)
        tokens = [token.text for token in doc]
        return NlpArtifacts([], doc, [token.idx for token in doc], tokens, self, language)

    def process_batch(self, texts, language, **kwargs):
        for text in texts:
            yield text, self.process_text(text, language)

    def is_stopword(self, word, language):
        return False

    def is_punct(self, word, language):
        return False

    def get_supported_entities(self):
        return []

    def get_supported_languages(self):
        return ["en"]


with open(sys.argv[1], encoding="utf-8") as file:
    lines = file.read().splitlines()[:1000]
engine = AnalyzerEngine(nlp_engine=Blank())
engine.analyze(lines[0], language="en")
size = sum(len(line.encode()) for line in lines)
before = time.process_time()
found = sum(len(engine.analyze(line, language="en")) for line in lines)
seconds = time.process_time() - before
print(json.dumps({"mb_per_second": size / seconds / 1e6, "replaced": found}))

"""Learning byte pairs from a corpus."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable
from itertools import pairwise

from torchtty.engine.data.tokenizers.byte_level import SPLIT_PATTERN, valid_unicode

Pair = tuple[int, int]

# A corpus without spaces would otherwise be one word whose every merge touches all of it.
_LONGEST_WORD = 200


def learn_merges(texts: Iterable[str], vocab_size: int) -> list[Pair]:
    """The merges that byte-pair encoding learns, at most `vocab_size` - 256, fewer where no pair occurs twice any more.

    Ids 0 to 255 are the bytes; merge number i makes id 256 + i of two earlier ids. Each round merges the most frequent
    pair, among equals the one of the smallest ids (Sennrich et al. 2016, on bytes as in GPT-2). Only the words that
    hold the pair are touched, so a round costs as much as the pair is frequent.
    """
    import regex  # type: ignore[import-untyped]

    pattern = regex.compile(SPLIT_PATTERN)
    counted = Counter(piece for text in texts for piece in pattern.findall(text))
    words: list[list[int]] = []
    counts: list[int] = []
    for piece, count in counted.items():
        data = valid_unicode(piece).encode()
        for start in range(0, len(data), _LONGEST_WORD):
            words.append(list(data[start : start + _LONGEST_WORD]))
            counts.append(count)
    return _Merger(words, counts).merges(vocab_size - 256)


class _Merger:
    def __init__(self, words: list[list[int]], counts: list[int]) -> None:
        self.words, self.counts = words, counts
        self.tokens = [bytes([byte]) for byte in range(256)]
        self.pair_counts: Counter[Pair] = Counter()
        self.where: defaultdict[Pair, set[int]] = defaultdict(set)
        for index, word in enumerate(words):
            for pair in pairwise(word):
                self.pair_counts[pair] += counts[index]
                self.where[pair].add(index)
        # Entries go stale as counts change; the count in an entry tells.
        self.heap = [(-count, pair) for pair, count in self.pair_counts.items()]
        heapq.heapify(self.heap)

    def merges(self, wanted: int) -> list[Pair]:
        known = {token: token_id for token_id, token in enumerate(self.tokens)}
        merges: list[Pair] = []
        while len(merges) < wanted and (pair := self._most_frequent()):
            token = self.tokens[pair[0]] + self.tokens[pair[1]]
            # Two ways to the same bytes are one token: ranks are looked up by bytes.
            if token not in known:
                known[token] = len(self.tokens)
                self.tokens.append(token)
                merges.append(pair)
            self._merge(pair, known[token])
        return merges

    def _most_frequent(self) -> Pair | None:
        while self.heap:
            negative, pair = heapq.heappop(self.heap)
            if (count := self.pair_counts[pair]) == -negative:
                return pair if count >= 2 else None
        return None

    def _merge(self, pair: Pair, merged: int) -> None:
        changed: Counter[Pair] = Counter()
        for index in self.where.pop(pair):
            word, count = self.words[index], self.counts[index]
            new = _replaced(word, pair, merged)
            if len(new) == len(word):
                continue
            for old_pair in pairwise(word):
                changed[old_pair] -= count
            for new_pair in pairwise(new):
                changed[new_pair] += count
                self.where[new_pair].add(index)
            self.words[index] = new
        for other, difference in changed.items():
            if difference:
                self.pair_counts[other] += difference
                heapq.heappush(self.heap, (-self.pair_counts[other], other))
        self.pair_counts.pop(pair, None)


def _replaced(word: list[int], pair: Pair, merged: int) -> list[int]:
    first, second = pair
    new, position, last = [], 0, len(word) - 1
    while position <= last:
        if position < last and word[position] == first and word[position + 1] == second:
            new.append(merged)
            position += 2
        else:
            new.append(word[position])
            position += 1
    return new

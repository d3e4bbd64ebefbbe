"""Mapping chunks of raw records on two cores, handed out in the order in which they came in.

Belongs here: who maps which chunk, and how many are under way. Does not belong here: mapping itself
(`assets/mapping.py`), reading chunks (`assets/chunks.py`), committing (`assets/normalise.py`).

DuckDB runs a chunk in one thread, since it shares out work by some hundred thousand rows; so two
chunks are mapped at the same time, each in a connection of its own. A single chunk is mapped
without any thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from assets.mapping import Mapped, Mapper
from resources.accounts import Account
from resources.memory import give_back

if TYPE_CHECKING:
    import pyarrow as pa

SIDE_BY_SIDE = 2
MOST_UNDER_WAY = SIDE_BY_SIDE + 1
"""Chunks read and not yet handed out: those being mapped, and one that waits. Bounds memory."""


class Mappers:
    """Maps an account's chunks, with as many mappers as there is work for."""

    def __init__(self, account: Account) -> None:
        """Open none yet."""
        self._account = account
        self._mappers: list[Mapper] = []
        self._free: SimpleQueue[Mapper] = SimpleQueue()
        self._threads: ThreadPoolExecutor | None = None

    def __enter__(self) -> Mappers:
        return self

    def __exit__(self, *exc: object) -> None:
        """Let go of the mappers; what is still being mapped is given up."""
        if self._threads is not None:
            for mapper in self._mappers:
                mapper.connection.interrupt()
            self._threads.shutdown(cancel_futures=True)
        for mapper in self._mappers:
            mapper.connection.close()

    def map(self, chunks: Iterable[pa.Table]) -> Iterator[tuple[pa.Table, Mapped]]:
        """Every chunk and what became of it, in the order of the chunks.

        Raises what mapping a chunk raised, in that chunk's turn. Chunks are asked for by the
        caller's thread.
        """
        waiting = iter(chunks)
        first = list(islice(waiting, SIDE_BY_SIDE))
        if len(first) < 2:
            for chunk in chain(first, waiting):
                yield chunk, self._map(chunk)
            return
        under_way: deque[tuple[pa.Table, Future[Mapped]]] = deque()
        for chunk in chain(first, waiting):
            if len(under_way) == MOST_UNDER_WAY:
                yield _oldest(under_way)
            under_way.append((chunk, self._started().submit(self._map, chunk)))
            del chunk
        while under_way:
            yield _oldest(under_way)

    def _map(self, chunk: pa.Table) -> Mapped:
        """Map with a mapper that nobody uses, made where there is none."""
        try:
            mapper = self._free.get_nowait()
        except Empty:
            mapper = Mapper(self._account)
            self._mappers.append(mapper)
        try:
            return mapper.map(chunk)
        finally:
            self._free.put(mapper)
            give_back()

    def _started(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(SIDE_BY_SIDE, "mapper")
        return self._threads


def _oldest(under_way: deque[tuple[pa.Table, Future[Mapped]]]) -> tuple[pa.Table, Mapped]:
    chunk, mapping = under_way.popleft()
    return chunk, mapping.result()

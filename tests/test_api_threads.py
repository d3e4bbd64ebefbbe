"""Many requests at once, and ending them: against a real server on loopback."""

from __future__ import annotations

import signal
import sys
import threading
import time
from pathlib import Path
from subprocess import PIPE, Popen, run

import pytest

from resources.api import Api, Clock, Rejected
from tests.api_case import SECRET, VARIABLE, api_at
from tests.loopback import Answer, Loopback, Seen, in_turn

ROOT = Path(__file__).parent.parent
OK = Answer(body=b'{"ok": true}')


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, SECRET)


def test_get_many_keeps_order_and_runs_at_once() -> None:
    together = threading.Barrier(4, timeout=10)

    def answer(seen: Seen) -> Answer:
        together.wait()  # passes only if four requests are under way
        return Answer(body=seen.path[1:].encode())

    with Loopback(answer) as server, api_at(server.url) as api:
        replies = api.get_many(((str(number), None) for number in range(20)), at_once=4)
        assert [reply.json() for reply in replies] == list(range(20))


def test_get_many_looks_ahead_only_so_far() -> None:
    drawn = []

    def requests() -> object:
        for number in range(100):
            drawn.append(number)
            yield str(number), None

    with Loopback(in_turn(OK)) as server, api_at(server.url) as api:
        replies = api.get_many(requests(), at_once=2)
        next(replies)
        assert len(drawn) == 4
        replies.close()
    assert len(server.seen) <= 4


def test_get_many_ends_with_the_first_error_and_leaves_no_thread() -> None:
    def answer(seen: Seen) -> Answer:
        if seen.path == "/2":
            return Answer(404)
        return Answer(429, headers={"wait": "3000"}) if seen.path != "/1" else OK

    before = set(threading.enumerate())
    with Loopback(answer) as server, api_at(server.url, clock=Clock()) as api:
        replies = api.get_many((str(number), None) for number in range(1, 9))
        assert next(replies).status == 200
        with pytest.raises(Rejected):
            next(replies)
        assert not api._stop.is_set()
    assert _own_threads(before) == []


def test_close_cuts_off_what_is_under_way() -> None:
    arrived = threading.Event()

    def answer(_: Seen) -> Answer:
        arrived.set()
        server.stopping.wait(30)
        return OK

    before = set(threading.enumerate())
    with Loopback(answer) as server:
        api = api_at(server.url, clock=Clock())
        ended: list[BaseException] = []

        def ask() -> None:
            try:
                list(api.get_many([("slow", None)] * 4))
            except BaseException as error:  # noqa: BLE001
                ended.append(error)

        asking = threading.Thread(target=ask)
        asking.start()
        assert arrived.wait(10)
        began = time.monotonic()
        api.close()
        asking.join()
        assert time.monotonic() - began < 10
        assert len(ended) == 1
    assert _own_threads(before) == []


WAITING = """
import sys
from tests.api_case import Clock, api_at
with api_at(sys.argv[1], clock=Clock(), progress=lambda each: print(each, flush=True)) as api:
    {}
"""


@pytest.mark.parametrize(
    "asking", ["api.get('busy')", "list(api.get_many([('busy', None), ('slow', None)] * 4))"]
)
def test_an_interrupt_ends_every_wait_promptly(asking: str) -> None:
    def answer(seen: Seen) -> Answer:
        if seen.path == "/slow":
            server.stopping.wait(60)
        return Answer(429, headers={"wait": "3000"})

    command = [sys.executable, "-c", WAITING.format(asking), "URL"]
    with Loopback(answer) as server:
        command[-1] = server.url
        with Popen(command, stdout=PIPE, stderr=PIPE, text=True, cwd=ROOT) as process:
            assert process.stdout is not None
            while "waiting_for='throttled" not in (line := process.stdout.readline()):
                assert line
            process.send_signal(signal.SIGINT)
            _, error = process.communicate(timeout=10)
        assert not server.stopping.is_set()
    assert process.returncode != 0
    assert error.splitlines()[-1] == "KeyboardInterrupt"


def _own_threads(before: set[threading.Thread]) -> list[str]:
    new = set(threading.enumerate()) - before
    return [thread.name for thread in new if thread.name.startswith("plain.acme")]


def test_closed_twice_is_closed() -> None:
    with Loopback(in_turn(OK)) as server:
        api: Api = api_at(server.url)
        api.close()
        api.close()


def test_importing_the_client_imports_nothing_heavy() -> None:
    code = "import sys, resources.api, resources.ledger; print(*sys.modules)"
    done = run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    heavy = {"pandas", "pyarrow", "duckdb", "dagster", "deltalake", "numpy"}
    assert heavy & set(done.stdout.split()) == set()


def test_replies_that_nobody_drew_to_the_end_do_not_keep_the_client_open() -> None:
    with Loopback(lambda _: Answer()) as server, api_at(server.url) as api:
        replies = api.get_many([("/a", None), ("/b", None)])
        next(replies)
    assert replies is not None

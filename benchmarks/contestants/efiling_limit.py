"""The least for orders whose lines are a request each: fetch all, twenty at a time, keep the bytes.

Belongs here: asking for every page and for every order's lines. Does not belong here: reading them.

    python efiling_limit.py URL FOLDER
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiohttp
import msgspec

IN_FLIGHT = 20


async def main(url: str, folder: Path) -> None:
    """Write pages and lines as they arrived."""
    folder.mkdir(parents=True, exist_ok=True)
    connector = aiohttp.TCPConnector(limit=IN_FLIGHT)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def get(path: str) -> bytes:
            async with session.get(url + path) as reply:
                reply.raise_for_status()
                body: bytes = await reply.read()
                return body

        number, ids, written = 1, list[int](), list[bytes]()
        while page := msgspec.json.decode(body := await get(f"/orders?page%5Bnumber%5D={number}")):
            ids += [order["id"] for order in page]
            written.append(body)
            number += 1
        written += await asyncio.gather(*(get(f"/orders/{each}/orderlines") for each in ids))
        (folder / "replies.json").write_bytes(b"\n".join(written))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2])))

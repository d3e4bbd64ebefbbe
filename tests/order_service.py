"""A client of the sandbox's Brightpearl that has read the document.

Belongs here: asking and unpacking replies. Does not belong here: what the replies should be.
"""

from __future__ import annotations

from typing import Any

import httpx

from sandbox.server import Sandbox

ACCOUNT = "brightpearl.acme"
BOTH = {"includeOptional": "customFields,nullCustomFields"}
HEADERS = {
    "brightpearl-app-ref": "sandbox-app-ref",
    "brightpearl-account-token": "sandbox-account-token",
}
Order = dict[str, Any]
Orders = dict[int, Order]


class OrderService:
    """The order service of one sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        url = sandbox.base_url(ACCOUNT) + "/order-service"
        self.http = httpx.Client(base_url=url, headers=HEADERS, timeout=30)
        self.sandbox = sandbox

    def __enter__(self) -> OrderService:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def search(self, **asked: object) -> dict[str, Any]:
        reply = self.http.get("/order-search", params={key: str(asked[key]) for key in asked})
        assert reply.status_code == 200, reply.text
        body: dict[str, Any] = reply.json()
        return body

    def rows(self, **asked: object) -> list[Order]:
        response = self.search(**asked)["response"]
        names = [column["name"] for column in response["metaData"]["columns"]]
        return [dict(zip(names, row, strict=True)) for row in response["results"]]

    def orders(self, ids: str, **asked: str) -> list[Order]:
        reply = self.http.get(f"/order/{ids}", params=asked)
        assert reply.status_code == 200, reply.text
        orders: list[Order] = reply.json()["response"]
        return orders

    def uris(self, ids: str = "") -> list[str]:
        reply = self.http.options(f"/order/{ids}" if ids else "/order")
        uris: list[str] = reply.json()["response"]["getUris"]
        return uris

    def all(self) -> Orders:
        """Every order there is, by way of OPTIONS."""
        sets = [uri.removeprefix("/order/") for uri in self.uris()]
        return {order["id"]: order for ids in sets for order in self.orders(ids, **BOTH)}


def expand(uri: str) -> list[int]:
    """The ids that a URI of OPTIONS names."""
    ids: list[int] = []
    for part in uri.removeprefix("/order/").split(","):
        first, _, last = part.partition("-")
        ids += range(int(first), int(last or first) + 1)
    return ids

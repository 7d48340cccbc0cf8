"""Whole tiles, one after the other."""

from __future__ import annotations

from collections.abc import Iterable

from pyuvm import uvm_sequence

from tb.agents.port import TileItem


class TilesSequence(uvm_sequence):
    """Sends items as fast as the driver takes them and ends when the last one has.

    `items` may be a generator: no more of them exist than the driver has posted.
    """

    def __init__(self, items: Iterable[TileItem]) -> None:
        super().__init__("tiles")
        self.items = items

    async def body(self) -> None:
        item = None
        for item in self.items:
            await self.start_item(item)
            await self.finish_item(item)
        if item is not None:
            await item.finished.wait()

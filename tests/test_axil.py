"""The checker of AXI4-Lite: what it lets pass, what it reports, and that every rule can fail."""

from __future__ import annotations

import pytest

from tb.agents.axil import CHANNELS, OKAY, SIGNALS, SLVERR, AxilChecker
from tb.agents.axis import ProtocolError

Pins = dict[str, int | None]
IDLE: Pins = dict.fromkeys(SIGNALS, 0)
AW: Pins = {"awvalid": 1, "awready": 1, "awaddr": 0x1C}
W: Pins = {"wvalid": 1, "wready": 1, "wdata": 7, "wstrb": 3}
B: Pins = {"bvalid": 1, "bready": 1}
AR: Pins = {"arvalid": 1, "arready": 1, "araddr": 0x18}
R: Pins = {"rvalid": 1, "rready": 1, "rdata": 9}


def run(*cycles: Pins) -> tuple[AxilChecker, list[list[tuple]]]:
    """A checker that has seen these cycles, and what each of them showed."""
    checker = AxilChecker("bus")
    shown = [checker.cycle((IDLE | pins).get) for pins in cycles]
    return checker, [[(a.write, a.address, a.data, a.strobe, a.response) for a in accesses] for accesses in shown]


WRITTEN, READ = (True, 0x1C, 7, 3, OKAY), (False, 0x18, 9, 15, OKAY)


def test_address_and_data_in_any_order() -> None:
    for requests in ((AW | W,), (AW, W), (W, AW), (AW, {}, {}, W)):
        _, shown = run(*requests, B)
        assert shown[-1] == [WRITTEN] and not any(shown[:-1])


def test_the_next_access_may_come_while_an_answer_waits() -> None:
    held = B | {"bready": 0}
    checker, shown = run(AW | W, held | AW, held | W | AR, held | R, B, B | {"bresp": SLVERR})
    assert shown == [[], [WRITTEN], [], [READ], [], [(*WRITTEN[:-1], SLVERR)]]
    assert checker.unanswered == {}
    assert checker.beats == 8


def test_a_read_that_shows_with_a_write_was_read_before() -> None:
    assert run(AW | W | AR, B | R)[1][-1] == [READ, WRITTEN]


def test_requests_without_answer_are_left() -> None:
    assert run(AW, AR, W)[0].unanswered == {"aw": 1, "w": 1, "ar": 1}
    assert run(AW | W, AW, B)[0].unanswered == {"aw": 1}
    checker, _ = run(AW | W)
    checker.in_reset(IDLE.get)
    assert checker.unanswered == {}


def waiting(channel: str) -> Pins:
    """A channel whose valid waits for ready."""
    return {f"{channel}valid": 1, f"{channel}ready": 0}


BROKEN = {
    "answer to a write before its data": ((AW, B), "bvalid without a request"),
    "answer to a write before its address": ((W, B), "bvalid without a request"),
    "answer in the cycle of the request": ((AW | W | B,), "bvalid without a request"),
    "answer to nothing": ((R,), "rvalid without a request"),
    "two answers to one write": ((AW | W, B, B), "bvalid without a request"),
    "two answers to one read": ((AR, R, R), "rvalid without a request"),
    "exclusive answer": ((AR, R | {"rresp": 1}), "EXOKAY"),
    "read data not known": ((AR, R | {"rdata": None}), "rdata, rresp not known"),
    **{f"{c}valid not known": (({f"{c}valid": None},), f"{c}valid=X") for c in CHANNELS},
    **{f"{c}ready not known": (({f"{c}ready": None},), f"{c}ready=X") for c in CHANNELS},
    **{f"{c} gives up": ((AW | W | AR, waiting(c), {}), f"{c}valid fell") for c in CHANNELS},
    **{
        f"{name} changes while it waits": (
            (AW | W | AR, waiting(c), waiting(c) | {name: 2}),
            f"{name}.* changed|, {name} changed",
        )
        for c, names in CHANNELS.items()
        for name in names
    },
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_rule_can_fail(name: str) -> None:
    cycles, shown = BROKEN[name]
    run(*cycles[:-1])  # sound so far
    with pytest.raises(ProtocolError, match=shown):
        run(*cycles)


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_valid_is_high_in_reset(channel: str) -> None:
    for value in (1, None):
        checker, _ = run({})
        with pytest.raises(ProtocolError, match=f"{channel}valid is {'X' if value is None else 1} in reset"):
            checker.in_reset((IDLE | {f"{channel}valid": value}).get)

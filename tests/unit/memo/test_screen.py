"""What remains on a terminal."""

from __future__ import annotations

import pytest

from pipfast.memo.screen import still

BAR = ("\x1b[?25l\r\x1b[2K   \x1b[90m━━━━━━━\x1b[0m \x1b[32m0/2\x1b[0m [demo]"
       "\r\x1b[2K   \x1b[91m━━━╸\x1b[0m\x1b[90m━━━\x1b[0m \x1b[32m1/2\x1b[0m [some.thing-1]\r\n"
       "\x1b[?25h\r\x1b[1A\x1b[2K").encode()


def test_bars_are_gone_and_colours_stay() -> None:
    assert still(b"Installing\n" + BAR + b"\x1b[32mdone\x1b[0m\n") == b"Installing\n\x1b[32mdone\x1b[0m\n"
    assert still(b"plain\n") == b"plain\n"


@pytest.mark.parametrize("written", [
    b"\x1b[?25l\r\x1b[2K 0/2 [demo]\nWARNING: beside\n\x1b[?25h\r\x1b[1A\x1b[2K",
    b"\x1b[?25l\r\x1b[2K 0/2 [demo]\n\x1b[?25h",
    b"12 %\r13 %\n",
    b"\x1b[2Jcleared\n",
    b"\x1b]0;title\x07",
])
def test_what_else_moves_is_not_kept(written: bytes) -> None:
    with pytest.raises(ValueError, match="prints"):
        still(written)

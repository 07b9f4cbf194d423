"""``--timeline`` among pip's options, wherever it may stand."""

from __future__ import annotations

import pytest

from pipfast_hooks.startup.timeline import take


@pytest.mark.parametrize(("before", "value", "after"), [
    ("--timeline a.html install demo", "a.html", "install demo"),
    ("--timeline=a.html install demo", "a.html", "install demo"),
    ("-v --cache-dir c --timeline a.html install demo", "a.html", "-v --cache-dir c install demo"),
    ("--cache-dir=c --timeline a.html install demo", "a.html", "--cache-dir=c install demo"),
    ("install --timeline a.html demo", "a.html", "install demo"),
    ("install demo --timeline=a.html", "a.html", "install demo"),
    ("install -r r.txt --timeline a.html -U", "a.html", "install -r r.txt -U"),
    ("install -rr.txt --timeline a.html", "a.html", "install -rr.txt"),
    ("install -Ur r.txt --timeline a.html", "a.html", "install -Ur r.txt"),
    ("install --index url --timeline a.html demo", "a.html", "install --index url demo"),
    ("install --timeline a.html --timeline b.html demo", "b.html", "install demo"),
    # What another option's value is, or stands behind `--`, is not ours.
    ("install -r --timeline demo", None, "install -r --timeline demo"),
    ("--log --timeline install demo", None, "--log --timeline install demo"),
    ("install --index --timeline demo", None, "install --index --timeline demo"),
    ("install -- --timeline demo", None, "install -- --timeline demo"),
    # pip's to refuse, or its own.
    ("install --timel a.html demo", None, "install --timel a.html demo"),
    ("--time 3 install demo", None, "--time 3 install demo"),
    ("instal --timeline a.html", None, "instal --timeline a.html"),
    ("", None, ""),
    # Our own commands', whose options have values, too.
    ("store prune --max-size 1G --timeline a.html", "a.html", "store prune --max-size 1G"),
    ("-v --timeline=a.html store info --json", "a.html", "-v store info --json"),
    ("store prune --max-size --timeline", None, "store prune --max-size --timeline"),
])
def test_it_is_taken_out_where_pips_options_may_stand(before: str, value: str | None, after: str) -> None:
    assert take(before.split(), ["store"]) == (after.split(), value)


@pytest.mark.parametrize("arguments", [["install", "demo", "--timeline"], ["--timeline", "", "install"],
                                       ["--timeline="]], ids=str)
def test_without_a_value_it_ends_as_pips_options_do(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        take(arguments)
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert "Usage:" in said and "--timeline option requires 1 argument" in said

"""A setup.py is read, not run."""

from __future__ import annotations

import pytest

from pipfast.rescue.trust.setup_script import SetupScript, read_setup_script

FULL = SetupScript("rotary_emb", "0.1", ("torch", "einops"), ("numpy>=1",))


@pytest.mark.parametrize("text", [
    "from setuptools import setup\n"
    "setup(name='rotary_emb', version='0.1', install_requires=['torch', 'einops'], setup_requires=['numpy>=1'])\n",
    "import setuptools\nNEEDS = ('torch', 'einops')\nV = '0.1'\nif True:\n"
    "    setuptools.setup(name='rotary_emb', version=V, install_requires=NEEDS, setup_requires='numpy>=1\\n')\n",
    "raise SystemExit\nsetup(name='rotary_emb', version='0.1', install_requires=['torch', *more, 'einops'],\n"
    "      setup_requires=['numpy>=1', call()], **other)\n",
])
def test_arguments_that_are_written_out(text: str) -> None:
    """Literals, and names that one literal is given to."""
    assert read_setup_script(text) == FULL


@pytest.mark.parametrize("text", [
    "", "print 'Python 2'\n", "setup(name=get_name())\n", "other(name='x')\n", "N = 'a'\nN = 'b'\nsetup(name=N)\n",
    "setup('x')\n", "\0", "(" * 5000, "x = '\\d'\n", "#" * (2 << 20) + "\nsetup(name='x')\n",
])
def test_what_is_not_is_not_known(text: str) -> None:
    assert read_setup_script(text) == SetupScript()

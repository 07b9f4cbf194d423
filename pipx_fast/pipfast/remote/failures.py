"""Failures of the team's store, in words for a user."""

from __future__ import annotations

import os
import re
import stat
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from pipfast.address import shown
from pipfast.errors import PipfastError

AGAIN = "`pipfast doctor` asks it again"

_CREDENTIALS = (
    "check its credentials: for https:// user and password in the address, else the variables, files and services "
    "of its kind (AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_NAME, and others)"
)
_ADDRESS = "check PIPFAST_REMOTE"

MAX_RAW_CHARACTERS = 4000
"""Characters of an error that go to the debug log; some servers answer with a page."""

# A server's answer may repeat whose credentials it got, e.g. `<AWSAccessKeyId>AK…</AWSAccessKeyId>`.
_PAGE = re.compile(r"<.*>", re.DOTALL)

_STATUS = re.compile(r"status code: (\d{3})\b|\bstatus: (\d{3})\b")
_CODE = re.compile(r"<Code>(\w{1,40})</Code>")
_METHOD = re.compile(r"Error performing ([A-Z]{3,9}) ")
# Addresses at which clouds tell their machines credentials.
_SERVICE = re.compile(r"Error performing [A-Z]+ http://(?:169\.254\.|metadata\.google)")
# e.g. `Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }`
_OS = re.compile(r'message: "([\w ]{1,60})"')
_CERTIFICATE = re.compile(r"InvalidCertificate\(\s*(\w{1,40})")
# e.g. `Unable to create dir /mnt/team/v1: Permission denied (os error 13)`
_FILE = re.compile(r"Unable to (.*?) (/.*): ([\w -]{1,60}) \(os error \d+\)")
# Each error has a `retry_timeout: 180s` besides.
_LATE = re.compile(r"operation timed out|TimedOut|\btimeout\b", re.IGNORECASE)
# What was read could be no answer, e.g. `hyper::Error(Parse(Version))`.
_NO_ANSWER = re.compile(r"\bParse\(")
# What is said of an address or of a setting without any part of it.
_PLAIN = re.compile(
    r"(invalid port number|empty host|invalid IPv[46] address|invalid international domain name|"
    r"Account must be specified|Bucket name is required|Unable to recognise URL|non-unicode characters)"
)


class Failure(NamedTuple):
    """What happened, to which thing; what to do; and the words of obstore, for the debug log."""

    what: str
    hint: str
    raw: str = ""


class NoFolder(PipfastError):
    """The folder of a ``file://`` address is not there, or is none; ``str()`` says so."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(what)
        self.hint = hint


def folder_of(address: str) -> str:
    """Return the folder that a ``file://`` address names."""
    return unquote(urlsplit(address).path, errors="surrogateescape")


def check_folder(folder: str) -> None:
    """Raise NoFolder where there is no such folder.

    One of a network that is not mounted is not made in its place: it would be filled on the local disk.
    """
    try:
        found = os.stat(folder)
    except FileNotFoundError as error:
        import shlex

        how = f"mount it, or make it once: mkdir -p {shlex.quote(folder)}"
        raise NoFolder(f"the folder {folder} is not there", how) from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "no path"
        raise NoFolder(f"the folder {folder} cannot be looked into ({why})", _ADDRESS) from error
    if not stat.S_ISDIR(found.st_mode):
        raise NoFolder(f"{folder} is no folder", "name a folder in PIPFAST_REMOTE")


def told(error: BaseException, address: str) -> Failure:
    """Return what an error of obstore's means, without any secret.

    :param address: of the team's store, as it is set.
    """
    whole = str(error)
    raw = _PAGE.sub("<…>", whole).strip()[:MAX_RAW_CHARACTERS]
    if isinstance(error, NoFolder):
        what, hint = whole, error.hint or AGAIN
    else:
        what, hint = _words(whole, error, address)
    # A server may answer with what moves a terminal's cursor, and a folder's name may have it.
    return Failure("".join(each if each.isprintable() else "?" for each in what), hint, raw)


def _words(whole: str, error: BaseException, address: str) -> tuple[str, str]:
    where = shown(address)
    first = whole.partition("\n")[0]
    status, code, method = _STATUS.search(whole), _CODE.search(whole), _METHOD.search(first)
    doing = method[1] if method else "the request"
    if _SERVICE.search(first) is not None:
        return f"no credentials are found for {where}", _CREDENTIALS
    if code is not None and code[1] == "RequestTimeTooSkewed":
        return f"{where} refuses {doing}, as this machine's clock is off (RequestTimeTooSkewed)", "set the clock"
    if status is not None:
        return _of_status(int(status[1] or status[2]), doing, where, f", {code[1]}" if code else "")
    if (file := _FILE.search(first)) is not None:
        done = {"create dir": "made", "create file": "made"}.get(file[1], "opened")
        return f"{file[2].partition('#')[0]} cannot be {done} ({file[3]})", (
            f"see what {folder_of(address)} holds, and who may read and write there"
        )
    host = urlsplit(where).hostname or where
    if "dns error" in whole:
        return f"the name {host} is not known (dns error)", "check the network, and PIPFAST_REMOTE"
    if (certificate := _CERTIFICATE.search(whole)) is not None:
        how = "check the server, and this machine's clock"
        return f"the certificate of {host} is not valid ({certificate[1]})", how
    system = _OS.search(whole)
    if system is not None and address.startswith("file:"):
        if system[1] == "No space left on device":
            return f"{folder_of(address)} is full ({system[1]})", "make room there"
        return f"{folder_of(address)} cannot be used ({system[1]})", f"see what is wrong with {folder_of(address)}"
    if system is not None:
        return f"{where} cannot be reached ({system[1]})", AGAIN
    if _LATE.search(whole) is not None:
        return f"{where} did not answer in time", AGAIN
    if "InvalidContentType" in whole:
        return f"{where} does not speak TLS", f"{_ADDRESS}: http:// where the server has no certificate"
    if "TooManyRedirects" in whole:
        return f"{where} leads elsewhere again and again (too many redirects)", _ADDRESS
    if _NO_ANSWER.search(whole) is not None:
        return f"{where} answers with something else than HTTP", _ADDRESS
    if "error sending request" in whole:
        return f"{where} ended the connection", AGAIN
    if (plain := _PLAIN.search(first)) is not None:
        return f"the address {where} cannot be used ({plain[1]})", _ADDRESS
    if isinstance(error, ValueError):
        return f"the address {where} cannot be used", _ADDRESS
    return f"{where} failed ({type(error).__name__})", f"{AGAIN}; -vv shows the whole error"


def _of_status(status: int, doing: str, where: str, code: str) -> tuple[str, str]:
    from http import HTTPStatus

    try:
        phrase = f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = str(status)
    if status in (401, 403, 407):
        return f"{where} refuses {doing} ({phrase}{code})", _CREDENTIALS
    if status == 507:
        return f"{where} is full ({phrase}{code})", "make room there"
    if status == 405 and doing == "PUT":
        # Go's WebDAV servers say so of whatever goes wrong while they write.
        how = f"{_ADDRESS}: the server must speak WebDAV, and have room"
        return f"{where} cannot do {doing} ({phrase}{code})", how
    if status in (404, 405, 501):
        return f"{where} cannot do {doing} ({phrase}{code})", f"{_ADDRESS}: the server must speak WebDAV, S3, …"
    if status >= 500:
        return f"{where} fails at {doing} ({phrase}{code})", AGAIN
    return f"{where} does not accept {doing} ({phrase}{code})", f"{AGAIN}; -vv shows the whole error"

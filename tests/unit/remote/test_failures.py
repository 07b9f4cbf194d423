"""Errors of obstore are said in words for a user: what happened, to which thing, and what to do."""

from __future__ import annotations

import pytest

from pipfast.remote.failures import AGAIN, NoFolder, check_folder, folder_of, told

_FILE = """Generic LocalFileSystem error: Unable to create dir /mnt/team/v1: Permission denied (os error 13)

Debug source:
Generic {
    store: "LocalFileSystem",
    source: UnableToCreateDir { source: Os { code: 13, kind: PermissionDenied, message: "Permission denied" } },
}"""


def _request(store: str, behind: str, method: str = "GET") -> str:
    return (f"Generic {store} error: Error performing {method} https://me:pa/MARKER@host.test/team/v1/x in 8.1ms "
            f"- HTTP error: error sending request\n\nDebug source:\nGeneric {{\n    retry_timeout: 180s,\n"
            f"    {behind}\n}}")


def _answer(status: str, body: str = "") -> str:
    return ("The operation lacked the necessary privileges to complete for path p/v1/x: Error performing PUT "
            f"https://host.test/team/v1/x?X-Amz-Signature=MARKER in 12.3µs - Server returned non-2xx status code: "
            f"{status}: {body}\n\nDebug source:\nGeneric {{ status: {status[:3]} }}")


_AT = "https://host.test/team"


@pytest.mark.parametrize(("address", "text", "what", "hint"), [
    ("file:///mnt/team", _FILE, "/mnt/team/v1 cannot be made (Permission denied)", "who may read and write"),
    ("file:///mnt/team", 'Generic: x\n Os { message: "No space left on device" }',
     "/mnt/team is full (No space left on device)", "make room"),
    ("file:///mnt/team", 'Generic: x\n Os { message: "Input or output error" }',
     "/mnt/team cannot be used (Input or output error)", "/mnt/team"),
    (_AT, _request("HTTP", 'ConnectError("dns error", Custom { kind: Uncategorized })'),
     "the name host.test is not known (dns error)", "PIPFAST_REMOTE"),
    (_AT, _request("S3", 'Os { code: 111, message: "Connection refused" }'),
     f"{_AT} cannot be reached (Connection refused)", AGAIN),
    (_AT, _request("S3", "InvalidCertificate(Expired)"),
     "the certificate of host.test is not valid (Expired)", "clock"),
    (_AT, _request("S3", "TimedOut"), f"{_AT} did not answer in time", AGAIN),
    (_AT, _request("S3", "HttpError { kind: Timeout }"), f"{_AT} did not answer in time", AGAIN),
    (_AT, _request("S3", "IncompleteMessage"), f"{_AT} ended the connection", AGAIN),
    (_AT, _request("HTTP", "hyper::Error(Parse(Version))"), f"{_AT} answers with something else than HTTP",
     "PIPFAST_REMOTE"),
    (_AT, _request("HTTP", "InvalidMessage(InvalidContentType)"), f"{_AT} does not speak TLS", "http://"),
    (_AT, _request("HTTP", "source: TooManyRedirects"),
     f"{_AT} leads elsewhere again and again (too many redirects)", "PIPFAST_REMOTE"),
    (_AT, _answer("403 Forbidden", "<Error><Code>RequestTimeTooSkewed</Code>"),
     f"{_AT} refuses PUT, as this machine's clock is off (RequestTimeTooSkewed)", "set the clock"),
    (_AT, _answer("403 Forbidden", "<Code>InvalidAccessKeyId</Code><AWSAccessKeyId>MARKER</AWSAccessKeyId>"),
     f"{_AT} refuses PUT (403 Forbidden, InvalidAccessKeyId)", "AWS_ACCESS_KEY_ID"),
    (_AT, _answer("507 Insufficient Storage"), f"{_AT} is full (507 Insufficient Storage)", "make room"),
    (_AT, _answer("405 Method Not Allowed"), f"{_AT} cannot do PUT (405 Method Not Allowed)", "have room"),
    (_AT, _answer("503 Service Unavailable"), f"{_AT} fails at PUT (503 Service Unavailable)", AGAIN),
    (_AT, _answer("999 ?"), f"{_AT} fails at PUT (999)", AGAIN),
    (_AT, _answer("423 Locked"), f"{_AT} does not accept PUT (423 Locked)", AGAIN),
    ("s3://bucket/x", "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 7ms - "
     "HTTP error", "no credentials are found for s3://bucket/x", "AWS_ACCESS_KEY_ID"),
    ("az://box/x", "Generic MicrosoftAzure error: Account must be specified\n\nDebug source:\nGeneric {}",
     "the address az://box/x cannot be used (Account must be specified)", "PIPFAST_REMOTE"),
    ("s3://k:MARKER/x@b/p", "strange", "s3://****@b/p failed (Exception)", "-vv"),
    (_AT, "\x1b[2J<html>MARKER</html>", f"{_AT} failed (Exception)", "-vv"),
])
def test_words(address: str, text: str, what: str, hint: str) -> None:
    failure = told(Exception(text), address)
    assert failure.what == what
    assert hint in failure.hint
    assert "MARKER" not in failure.what + failure.hint and "<AWS" not in failure.raw


def test_address_that_cannot_be_read() -> None:
    failure = told(ValueError("invalid port number"), "https://user:pa/MARKER@host.test/team")
    assert failure.what == "the address https://****@host.test/team cannot be used (invalid port number)"


def test_name_of_a_folder_moves_no_cursor() -> None:
    assert told(NoFolder("the folder \x1b[2J is not there", "x"), "file:///x").what.count("?") == 1


@pytest.mark.parametrize(("address", "folder"), [
    ("file:///mnt/team", "/mnt/team"), ("file:///mnt/our%20team/", "/mnt/our team/"),
    ("file:///mnt/ü@x", "/mnt/ü@x"), ("file:///mnt/a%2520?x#y", "/mnt/a%20"),
])
def test_folder_of_an_address(address: str, folder: str) -> None:
    assert folder_of(address) == folder


def test_folder_with_a_nul() -> None:
    with pytest.raises(NoFolder, match="cannot be looked into"):
        check_folder("/mnt/\0")

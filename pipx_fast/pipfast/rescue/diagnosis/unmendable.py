"""Errors and modules that no installed distribution mends."""

from __future__ import annotations

import re
import sys

KINDS = frozenset({
    # The source's own.
    "SyntaxError", "IndentationError", "TabError",
    # Compilers and linkers, by the names that distutils and setuptools have for them.
    "CCompilerError", "CompileError", "LinkError", "LibError", "PreprocessError", "UnknownFileError",
    # A program or a file that is not there, or not ours.
    "FileNotFoundError", "PermissionError", "NotADirectoryError", "IsADirectoryError",
    # The network.
    "URLError", "HTTPError", "ContentTooShortError", "gaierror", "SSLError", "SSLCertVerificationError",
    "ConnectionError", "ConnectionRefusedError", "ConnectionResetError", "TimeoutError", "TimeoutExpired",
    # The machine and the user.
    "MemoryError", "KeyboardInterrupt", "RecursionError",
    # A version that is there and does not fit.
    "VersionConflict", "ContextualVersionConflict",
})
"""Names of exceptions that end the diagnosis, even if something was missing as well."""

_LINES: tuple[tuple[str, str], ...] = (
    # error: command '/usr/bin/gcc' failed with exit code 1
    # error: Command '['gcc', '-fno-strict-overflow', …]' returned non-zero exit status 1.
    (r"[Cc]ommand '(?:\[')?(?:[^' ]*/)?(?:[\w.-]+-)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+|gfortran|f77|nvcc|hipcc"
     r"|cl\.exe|ld|ar|link\.exe|rustc|cargo|swig)(?:-[\d.]+)?'", "a compiler or a linker failed"),
    # src/pyaudio/device_api.c:9:10: fatal error: portaudio.h: No such file or directory
    (r"fatal error: .*(?:No such file or directory|file not found)", "a header is not there"),
    # error: Microsoft Visual C++ 14.0 or greater is required. Get it with "Microsoft C++ Build Tools"
    (r"Microsoft Visual C\+\+ [\d.]+ (?:or greater )?is required", "there is no compiler"),
    # unable to execute 'gcc': No such file or directory
    (r"unable to execute '?[\w./+-]+'?: No such file", "there is no compiler"),
    # /usr/bin/ld: cannot find -lportaudio: No such file or directory
    (r"\bld: cannot find -l", "a library is not there"),
    # /usr/bin/ld: x.o: undefined reference to `sgemm_'
    (r"undefined reference to|undefined symbol:|symbol not found in", "a symbol is not there"),
    # ImportError: libcudart.so.12: cannot open shared object file: No such file or directory
    (r"cannot open shared object file|DLL load failed|Library not loaded:", "a shared library is not there"),
    # RuntimeError: Error compiling objects for extension
    (r"Error compiling objects for extension|ninja: build stopped", "a compiler failed"),
    # OSError: CUDA_HOME environment variable is not set. Please set it to your CUDA install root.
    (r"CUDA_HOME (?:environment variable )?is not set|CUDA_HOME does not exist"
     r"|[Nn]o CUDA toolkit (?:was )?found|nvcc(?:'|\")? (?:was )?not found|Could not find (?:CUDA|nvcc)",
     "there is no CUDA toolkit"),
    # c++: fatal error: Killed signal terminated program cc1plus
    (r"Killed signal terminated program|died with <Signals\.|virtual memory exhausted|std::bad_alloc"
     r"|Cannot allocate memory|^Killed$", "something was killed, or memory ran out"),
    (r"No space left on device", "the disk is full"),
    # ImportError: cannot import name 'soft_unicode' from 'markupsafe'
    (r"cannot import name ", "what is there has another version than the build wants"),
    (r"most likely due to a circular import|partially initialized module", "the source imports itself"),
    # SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?
    (r"^\s*(?:\w+\.)*(?:SyntaxError|IndentationError|TabError): ", "the source is not for this Python"),
    # error in demjson setup command: use_2to3 is invalid.
    (r"error in \S+ setup command: ", "the source is not for this setuptools"),
    # <urlopen error [Errno -3] Temporary failure in name resolution>
    (r"<urlopen error|Temporary failure in name resolution|Name or service not known|Network is unreachable"
     r"|nodename nor servname|Connection refused|CERTIFICATE_VERIFY_FAILED|Could not resolve host", "the network"),
    # CMake Error at CMakeLists.txt:5 (find_package):
    (r"^CMake Error|Could not find a package configuration file", "CMake failed"),
    # Package 'cairo', required by 'virtual:world', not found
    (r"Package '?\S+?'?, required by '.*', not found|was not found in the pkg-config search path"
     r"|pkg-config(?: script)? (?:could not be|not) found", "a system library is not there"),
    (r"^error: metadata-generation-failed$", "another package failed inside"),
)

_COMPILED = tuple((re.compile(pattern), reason) for pattern, reason in _LINES)


def reason_in(line: str) -> str | None:
    """Return the reason in a line that no installation would mend, or None."""
    return next((reason for pattern, reason in _COMPILED if pattern.search(line)), None)


PYTHON_2 = frozenset("""
    __builtin__ _winreg anydbm BaseHTTPServer Bastion CGIHTTPServer commands compiler ConfigParser Cookie cookielib
    copy_reg cPickle cStringIO dbhash dircache DocXMLRPCServer dumbdbm dummy_thread exceptions fpformat
    FixTk future_builtins gdbm hotshot htmlentitydefs htmllib HTMLParser httplib ihooks imputil
    md5 mhlib mimetools MimeWriter mimify multifile mutex new os2emxpath popen2 posixfile Queue repr rexec rfc822
    robotparser ScrolledText sets sgmllib sha SimpleHTTPServer SimpleXMLRPCServer SocketServer stringold StringIO
    strop sunaudio thread Tix tkColorChooser tkCommonDialog tkFileDialog tkFont Tkinter tkMessageBox tkSimpleDialog
    toaiff ttk urllib2 urlparse user UserDict UserList UserString whichdb xmlrpclib
""".split())

DROPPED = frozenset("""
    _bootlocale aifc asynchat asyncore audioop binhex cgi cgitb chunk crypt distutils dummy_threading formatter
    fpectl imghdr imp lib2to3 macpath macurl2path mailcap msilib nis nntplib ossaudiodev parser pipes smtpd sndhdr
    spwd sunau symbol telnetlib uu xdrlib _dummy_thread
""".split())
"""Modules that a Python 3 dropped: with 3.9, 3.10, 3.12 (distutils, imp, asyncore …) and 3.13 (cgi, pipes …)."""

LATER = frozenset("annotationlib compression graphlib tomllib zoneinfo".split())
"""Modules of newer Pythons, which this interpreter may lack."""


def is_pythons_own(module: str) -> bool:
    """Tell whether a module belongs, or once belonged, to Python itself.

    ``distutils`` is among them: setuptools brings one, and a setuptools without it is too old for this Python.
    """
    top = module.partition(".")[0]
    return top in sys.stdlib_module_names or top in DROPPED or top in PYTHON_2 or top in LATER

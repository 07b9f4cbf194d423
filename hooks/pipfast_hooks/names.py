"""Names of pip that are imported, called or read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from pipfast_hooks.seams import OLDEST, Version, fits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from pipfast.settings import Family


class Names(NamedTuple):
    """Some of one module's names, without which the families that lean on them stay stock.

    No dataclass: that takes 0.7 ms more to make, in every command.
    """

    module: str
    names: tuple[str, ...]
    """``function``, ``Class``, or ``Class.attribute`` for what a class has or gives its objects."""
    families: tuple[Family, ...]
    since: Version = OLDEST
    before: Version | None = None
    """The first pip that no longer has them."""
    optional: bool = False
    """Whoever reads them asks whether they are there: a distribution's pip may have another release of rich."""

    def fits(self, pip: Version) -> bool:
        """Tell whether this row speaks of that pip."""
        return fits(pip, self.since, self.before)

    @property
    def labels(self) -> tuple[str, ...]:
        """The full names, as ``doctor`` shows them."""
        return tuple(f"{self.module}.{name}" for name in self.names)

    def missing(self, module: ModuleType) -> Iterator[str]:
        """Yield the full names that a module does not have."""
        return (f"{self.module}.{name}" for name in self.names if not _has(module, name))


_ANY: tuple[Family, ...] = ("downloads", "builds", "index", "metadata", "install")
"""Families that compare projects' names and requirements."""

_SPOKEN: tuple[Family, ...] = ("downloads", "builds", "metadata")
"""Families that say what pip says while it works."""

NAMES: tuple[Names, ...] = (
    Names("pip._vendor.packaging.utils", ("canonicalize_name",), _ANY),
    Names("pip._vendor.packaging.requirements", ("InvalidRequirement", "Requirement"), ("builds", "index")),
    Names("pip._vendor.packaging.specifiers", ("InvalidSpecifier", "SpecifierSet"), ("index", "metadata")),
    Names("pip._vendor.packaging.version", ("InvalidVersion", "parse"), ("index",)),

    # The command line.
    Names("pip._internal.cli.main", ("main",), ("program",)),
    Names("pip._internal.cli.base_command", ("Command",), ("program",)),
    Names("pip._internal.cli.main_parser", ("create_main_parser",), ("program",)),
    Names("pip._internal.commands", ("CommandInfo", "commands_dict", "create_command"), ("program",)),
    Names("pip._internal.cli.cmdoptions", ("general_group",), ("program",)),
    Names("pip._internal.commands.freeze", ("DEV_PKGS",), ("program",), before=(23, 2)),
    Names("pip._internal.commands.freeze", ("_dev_pkgs",), ("program",), since=(23, 2)),
    Names("pip._internal.configuration", ("Configuration",), ("program",)),
    Names("pip._internal.exceptions", ("PipError",), ("program",)),
    Names("pip._internal.exceptions", ("NetworkConnectionError",), ("downloads", "index")),
    Names("pip._internal.exceptions", ("InstallationError",), ("downloads", "index")),
    Names("pip._internal.exceptions", ("InvalidWheelFilename",), ("index",)),
    Names("pip._internal.exceptions", ("InstallationError", "InstallationSubprocessError"), ("builds",)),

    # What is printed.
    Names("pip._internal.utils.logging", ("get_indentation",), _SPOKEN),
    Names("pip._internal.utils.logging", ("VERBOSE", "subprocess_logger"), ("builds",)),
    Names("pip._internal.cli.spinners", (
        "InteractiveSpinner._file", "InteractiveSpinner._finished", "InteractiveSpinner._message",
        "InteractiveSpinner._width", "InteractiveSpinner._write", "open_spinner",
    ), ("builds",)),
    Names("pip._internal.utils.subprocess", ("call_subprocess", "subprocess_logger"), ("builds",)),
    Names("pip._vendor.rich.console", ("Console._buffer_index", "Console._lock", "Console._render_hooks"),
          ("program",)),
    Names("pip._vendor.rich.console", ("Console._live",), ("program",), before=(25, 2), optional=True),
    Names("pip._vendor.rich.console", ("Console._live_stack",), ("program",), since=(25, 2), optional=True),
    Names("pip._vendor.rich.control", ("Control",), ("downloads",)),
    Names("pip._vendor.rich.progress_bar", ("ProgressBar",), ("downloads",)),
    Names("pip._vendor.rich.segment", ("ControlType", "Segment"), ("downloads",)),

    # Requests and pip's cache of answers.
    Names("pip._internal.network.auth", ("MultiDomainBasicAuth._get_url_and_credentials",), ("index",)),
    Names("pip._internal.network.session", ("CacheControlAdapter",), ("downloads", "index", "metadata")),
    Names("pip._internal.network.utils", ("HEADERS", "raise_for_status", "response_chunks"),
          ("downloads", "index")),
    Names("pip._vendor.requests.adapters", ("HTTPAdapter",), ("index",)),
    Names("pip._vendor.requests.models", ("PreparedRequest", "Response._content", "Response._content_consumed"),
          ("index",)),
    Names("pip._vendor.requests.structures", ("CaseInsensitiveDict",), _SPOKEN),
    Names("pip._vendor.urllib3.connectionpool", (
        "HTTPConnectionPool._make_request", "HTTPConnectionPool._put_conn", "HTTPSConnectionPool",
    ), ("downloads", "index")),
    Names("pip._vendor.urllib3._collections", ("RecentlyUsedContainer._container",), ("downloads", "index")),
    Names("pip._vendor.requests.exceptions", ("ConnectionError", "SSLError", "Timeout"), ("downloads", "index")),
    Names("pip._vendor.urllib3.exceptions", (
        "HTTPError", "NewConnectionError", "ProtocolError", "ProxyError", "SSLError", "TimeoutError",
    ), ("downloads", "index")),
    Names("pip._vendor.urllib3.response", (
        "HTTPResponse._connection", "HTTPResponse._fp", "HTTPResponse._original_response",
    ), ("downloads", "index")),
    Names("pip._vendor.urllib3.util.connection", ("is_connection_dropped",), ("downloads", "index")),
    Names("pip._vendor.urllib3.util.retry", ("Retry",), ("downloads", "index")),
    Names("pip._internal.utils.misc", ("redact_auth_from_url",), ("builds", "metadata")),

    # Index pages, and the choice among their files.
    Names("pip._internal.index.collector", ("HTMLLinkParser",), ("index",)),
    Names("pip._internal.index.package_finder", ("CandidateEvaluator.compute_best_candidate",), ("index",)),
    Names("pip._internal.index.package_finder", (
        "CandidateEvaluator._hashes", "CandidateEvaluator._prefer_binary", "CandidateEvaluator._project_name",
        "CandidateEvaluator._specifier", "CandidateEvaluator._supported_tags", "LinkEvaluator._allow_yanked",
        "LinkEvaluator._canonical_name", "LinkEvaluator._formats", "LinkEvaluator._ignore_requires_python",
        "LinkEvaluator._target_python", "LinkType.requires_python_mismatch", "PackageFinder._link_collector",
    ), ("index",)),
    Names("pip._internal.index.package_finder", ("LinkEvaluator._uploaded_prior_to",), ("index",), since=(26, 0)),
    Names("pip._internal.models.candidate", ("InstallationCandidate",), ("index",)),
    Names("pip._internal.models.link", ("Link",), ("index",)),
    Names("pip._internal.models.wheel", ("Wheel",), ("index",)),
    Names("pip._internal.utils.misc", ("splitext",), ("index",)),
    Names("pip._internal.utils.unpacking", ("SUPPORTED_EXTENSIONS",), ("index",)),
    Names("pip._internal.resolution.resolvelib.candidates", ("_InstallRequirementBackedCandidate._factory",),
          ("index",)),
    Names("pip._internal.resolution.resolvelib.factory", ("Factory._finder", "Factory._installed_dists"),
          ("builds", "index")),

    # Archives, and their metadata.
    Names("pip._internal.network.download", (
        "Downloader._progress_bar", "Downloader._session", "NetworkConnectionError", "_get_http_response_size",
        "logger",
    ), ("downloads", "metadata")),
    Names("pip._internal.operations.prepare", ("RequirementPreparer._download", "RequirementPreparer._session"),
          ("downloads", "index", "metadata")),
    Names("pip._internal.utils.hashes", ("Hashes._allowed",), ("downloads",)),
    Names("pip._internal.metadata", (
        "FilesystemWheel", "get_metadata_distribution", "get_wheel_distribution", "select_backend",
    ), ("downloads", "install", "metadata")),
    Names("pip._internal.metadata.importlib._dists", ("Distribution._dist",), ("metadata",)),
    Names("pip._internal.operations.install.wheel", ("get_entrypoints", "logger"), ("install",)),

    # Builds.
    Names("pip._internal.build_env", (
        "BuildEnvironment._bin_dirs", "BuildEnvironment._prefixes", "BuildEnvironment._site_dir",
    ), ("builds",), since=(25, 2), before=(26, 2)),
    Names("pip._internal.build_env", (
        "VirtualBuildEnvironment._bin_dirs", "VirtualBuildEnvironment._prefixes",
        "VirtualBuildEnvironment._site_dir",
    ), ("builds",), since=(26, 2)),
    Names("pip._internal.build_env", ("NoOpBuildEnvironment",), ("builds",)),
    Names("pip._internal.build_env", ("BuildEnvironment._lib_dirs",), ("builds",), before=(26, 2), optional=True),
    Names("pip._internal.operations.build.build_tracker", ("BuildTracker._entries",), ("builds",)),
    Names("pip._internal.pyproject", ("load_pyproject_toml",), ("builds",)),
    Names("pip._internal.utils.unpacking", ("unpack_file",), ("builds",)),
    Names("pip._internal.utils.direct_url_helpers", ("direct_url_from_link",), ("builds",)),
    Names("pip._internal.vcs", ("vcs",), ("builds",)),
    Names("pip._vendor.pyproject_hooks", (
        "BackendUnavailable", "BuildBackendHookCaller._subprocess_runner",
    ), ("builds",)),
    Names("pip._vendor.tomli", ("loads",), ("builds",)),
    Names("pip._vendor.distro", ("codename", "name", "version"), ("builds",)),
)


def _has(module: ModuleType, name: str) -> bool:
    holder, _, attribute = name.partition(".")
    found: Any = getattr(module, holder, None)
    if found is None or not attribute or hasattr(found, attribute):
        return found is not None
    # The code of a class's methods names the attributes of its objects.
    functions = (function for each in found.__mro__ for function in vars(each).values())
    return any(attribute in code.co_names for each in functions if (code := getattr(each, "__code__", None)))

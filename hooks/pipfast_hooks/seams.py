"""Table of pip's functions that we hook, with shapes and versions.

A difference between two pips is a difference between two rows: no other module compares pip's version. Only
this module and ``names`` have names of pip's internals as strings. A seam of another shape is not attached;
pip's own code runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipfast.settings import Family

Version = tuple[int, ...]

OLDEST: Version = (23, 0)
NEWEST_TESTED: Version = (26, 3)
"""The newest pip that passes the whole test suite. Seams that write are not attached to a newer one: a signature
does not tell what a function does."""


@dataclass(frozen=True, slots=True)
class Seam:
    """One function of pip's."""

    module: str
    name: str
    """``function`` or ``Class.method``."""
    family: Family
    parameters: tuple[str, ...]
    """Names of its parameters, in order, without ``self`` or ``cls``."""
    wrapper: str = ""
    """``module:function`` in this package; empty for a function that we only call."""
    optional: tuple[str, ...] = ()
    """Names of parameters that may follow; with any other one it is of another shape."""
    since: Version = OLDEST
    before: Version | None = None
    """The first pip that no longer has it."""
    writes: bool = False
    """It changes an environment: attached only up to ``NEWEST_TESTED``."""
    kept: bool = False
    """It is a property whose value never changes: asked once for each object."""
    plain: bool = False
    """Called too often for a wrapper: ``wrapper`` takes the original and returns its replacement."""
    idle_without: str = ""
    """Skip the wrapper, and its import, when this argument is empty."""
    needs: tuple[str, ...] = ()
    """Labels of rows above this one; if one of them is stock, this one is, too."""

    def fits(self, pip: Version) -> bool:
        """Tell whether this row speaks of that pip."""
        return fits(pip, self.since, self.before)

    def reason_against(self, pip: Version) -> str:
        """Return why the seam is not attached to that pip, whatever its shape; an empty string if it may be."""
        if pip < OLDEST:
            return f"this pip is older than {_text(OLDEST)}"
        if self.writes and _is_newer(pip):
            return f"it writes, and was tested up to pip {_text(NEWEST_TESTED)}"
        return ""

    @property
    def installs(self) -> bool:
        """Whether our function puts wheels into an environment."""
        return self.wrapper == _PLACES_WHEELS

    @property
    def label(self) -> str:
        """The full name, as ``doctor`` shows it."""
        return f"{self.module}.{self.name}"


_INSTALL_WHEEL = (
    "name", "wheel_path", "scheme", "req_description", "pycompile", "warn_script_location", "direct_url",
    "requested",
)

_PLACES_WHEELS = "install.wheel:_around_install_wheel"

_CALL_SUBPROCESS = (
    "cmd", "show_stdout", "cwd", "on_returncode", "extra_ok_returncodes", "extra_environ", "unset_environ",
    "spinner", "log_failed_cmd", "stdout_only", "command_desc",
)

_QUIET_WORKERS = ("pip._internal.network.auth.MultiDomainBasicAuth._prompt_for_password",)
"""Without it, a download in a worker thread could ask for a password on the terminal."""

_FETCHED_PAGES = ("pip._internal.index.collector.LinkCollector.fetch_response",)
"""It is called for pages."""

SEAMS: tuple[Seam, ...] = (
    # Every command passes here; what runs beside pip ends with it.
    Seam("pip._internal.cli.base_command", "Command.main", "program", ("args",), "command:_around_main"),
    # Waits for `rustc --version` and `lsb_release -a`, every time.
    Seam("pip._internal.network.session", "user_agent", "program", (), "startup.agent:_around_user_agent"),
    Seam("pip._internal.cli.index_command", "_create_truststore_ssl_context", "program", (),
         "startup.certificates:_around_create_context", since=(24, 2)),
    # What is about to happen: a real installation or a dry run, with bytecode or without. It writes
    # nothing itself; where `install_wheel` stays stock, nothing is to be prepared for it.
    Seam("pip._internal.commands.install", "InstallCommand.run", "install", ("options", "args"),
         "command:_around_install_run", writes=True),
    # Called, so that our settings stand in pip's own files, whichever these are.
    Seam("pip._internal.configuration", "Configuration.__init__", "program", ("isolated",),
         optional=("load_only",)),
    Seam("pip._internal.configuration", "Configuration.load", "program", ()),
    Seam("pip._internal.configuration", "Configuration.items", "program", ()),
    # A line for each requirement that is satisfied already, each laid out as if for a terminal.
    Seam("pip._internal.utils.logging", "RichPipStreamHandler.emit", "program", ("record",),
         "output.messages:_around_emit"),
    # The last thing that every pip does before it installs.
    Seam("pip._internal.resolution.resolvelib.resolver", "Resolver.get_installation_order", "program",
         ("req_set",), "command:_around_get_installation_order"),
    Seam("pip._internal.resolution.legacy.resolver", "Resolver.get_installation_order", "program", ("req_set",),
         "command:_around_get_installation_order"),
    # Where nothing is going to be installed, nothing need be imported before it and nothing blocked after it.
    Seam("pip._internal.commands.install", "_eagerly_import_modules", "program", (),
         "command:_around_eagerly_import_modules", optional=("module_names",), since=(26, 1)),
    Seam("pip._internal.commands.install", "_prevent_further_imports", "program", (),
         "command:_around_prevent_further_imports", optional=("until_process_exit",), since=(26, 1)),

    # A worker thread never asks for a password: the main thread comes to that download itself.
    Seam("pip._internal.network.auth", "MultiDomainBasicAuth._prompt_for_password", "downloads", ("netloc",),
         "downloads.credentials:_around_prompt"),
    # Several connections may need what the user's keyring has, which is asked once.
    Seam("pip._internal.network.auth", "MultiDomainBasicAuth._get_keyring_auth", "downloads", ("url", "username"),
         "downloads.credentials:_around_keyring", since=(23, 1)),
    Seam("pip._internal.network.download", "Downloader.__call__", "downloads", ("link", "location"),
         "downloads.downloader:_around_call", needs=_QUIET_WORKERS),
    Seam("pip._internal.network.download", "BatchDownloader.__call__", "downloads", ("links", "location"),
         "downloads.downloader:_around_batch", before=(25, 2), idle_without="links", needs=_QUIET_WORKERS),
    Seam("pip._internal.network.download", "Downloader.batch", "downloads", ("links", "location"),
         "downloads.downloader:_around_batch", since=(25, 2), idle_without="links", needs=_QUIET_WORKERS),
    # A candidate whose metadata is known is almost always the one that is installed.
    Seam("pip._internal.operations.prepare", "RequirementPreparer._fetch_metadata_only", "downloads", ("req",),
         "downloads.downloader:_around_fetch_metadata_only", needs=_QUIET_WORKERS),
    # Called, so that the lines about a download are pip's own.
    Seam("pip._internal.network.download", "_prepare_download", "downloads", ("resp", "link", "progress_bar"),
         optional=("total_length", "range_start"), before=(25, 2)),
    Seam("pip._internal.network.download", "_log_download", "downloads",
         ("resp", "link", "progress_bar", "total_length"), optional=("range_start",), since=(25, 2)),
    Seam("pip._internal.network.download", "_get_http_response_filename", "downloads", ("resp", "link")),
    # The bytes were hashed when they arrived: they are not read again for that.
    Seam("pip._internal.utils.hashes", "Hashes.check_against_path", "downloads", ("path",),
         "downloads.downloader:_around_check_against_path"),

    # What is asked for, and what the resolver made of it: builds are rescued from this alone.
    Seam("pip._internal.cli.req_command", "RequirementCommand.get_requirements", "builds",
         ("args", "options", "finder", "session"), "builds.context:_around_get_requirements"),
    Seam("pip._internal.operations.prepare", "RequirementPreparer.prepare_linked_requirements_more", "builds",
         ("reqs", "parallel_builds"), "builds.context:_around_prepare_linked_requirements_more"),
    # Every build hook passes here, inside pip's own message and environment.
    Seam("pip._vendor.pyproject_hooks._impl", "BuildBackendHookCaller._call_hook", "builds",
         ("hook_name", "kwargs"), "builds.hooks:_around_call_hook"),

    # The child that fills an isolated environment links from the store, too.
    Seam("pip._internal.build_env", "get_runnable_pip", "builds", (),
         "builds.environments.runner:_around_get_runnable_pip", before=(26, 2)),
    # Bound here by a from-import up to 26.1; what it is used for there is no build.
    Seam("pip._internal.cli.main_parser", "get_runnable_pip", "builds", (),
         "builds.environments.runner:_around_get_runnable_pip", before=(26, 2),
         needs=("pip._internal.build_env.get_runnable_pip",)),
    Seam("pip._internal.build_env.installer", "get_runnable_pip", "builds", (),
         "builds.environments.runner:_around_get_runnable_pip", since=(26, 2)),
    # An equal set of requirements is installed once in a run.
    Seam("pip._internal.build_env", "SubprocessBuildEnvironmentInstaller.install", "builds",
         ("requirements", "prefix", "kind", "for_req"), "builds.beside.answers:_around_install", since=(25, 2),
         before=(26, 2)),
    Seam("pip._internal.build_env.installer", "SubprocessBuildEnvironmentInstaller.install", "builds",
         ("requirements", "prefix", "kind", "for_req"), "builds.beside.answers:_around_install", since=(26, 2)),
    # Sources are built beside pip, which then finds the results where it would start a process.
    Seam("pip._internal.distributions.sdist", "runner_with_spinner_message", "builds", ("message",),
         "builds.beside.answers:_around_runner_with_spinner_message", since=(25, 2)),
    Seam("pip._internal.operations.build.metadata", "runner_with_spinner_message", "builds", ("message",),
         "builds.beside.answers:_around_runner_with_spinner_message", since=(25, 2)),
    Seam("pip._internal.build_env", "call_subprocess", "builds", _CALL_SUBPROCESS,
         "builds.beside.answers:_around_call_subprocess", since=(25, 2), before=(26, 2)),
    Seam("pip._internal.build_env.installer", "call_subprocess", "builds", _CALL_SUBPROCESS,
         "builds.beside.answers:_around_call_subprocess", since=(26, 2)),
    Seam("pip._internal.build_env", "open_spinner", "builds", ("message",),
         "builds.beside.answers:_around_open_spinner", since=(25, 2), before=(26, 2)),
    Seam("pip._internal.build_env.installer", "open_spinner", "builds", ("message",),
         "builds.beside.answers:_around_open_spinner", since=(26, 2)),
    # A source of which is known what its build misses begins with isolation off.
    Seam("pip._internal.distributions.sdist", "SourceDistribution._prepare_build_backend", "builds", ("finder",),
         "builds.hooks:_around_prepare_build_backend", before=(25, 2)),
    Seam("pip._internal.distributions.sdist", "SourceDistribution._prepare_build_backend", "builds",
         ("build_env_installer",), "builds.hooks:_around_prepare_build_backend", since=(25, 2), before=(26, 2)),
    Seam("pip._internal.distributions.sdist", "SourceDistribution._prepare_build_backend", "builds",
         ("build_isolation",), "builds.hooks:_around_prepare_build_backend", since=(26, 2)),
    # A rescue that cannot go on before anything has failed: pip does all of it anew.
    Seam("pip._internal.distributions.sdist", "SourceDistribution.prepare_distribution_metadata", "builds",
         ("finder", "build_isolation", "check_build_deps"), "builds.hooks:_around_prepare_distribution_metadata",
         before=(25, 2)),
    Seam("pip._internal.distributions.sdist", "SourceDistribution.prepare_distribution_metadata", "builds",
         ("build_env_installer", "build_isolation", "check_build_deps"),
         "builds.hooks:_around_prepare_distribution_metadata", since=(25, 2), optional=("allow_editables",)),
    # On a terminal, a long build shows that it lives.
    Seam("pip._internal.utils.subprocess", "open_spinner", "builds", ("message",),
         "output.progress:_around_open_spinner"),
    # Where pip builds one wheel after another, several are built at once.
    Seam("pip._internal.operations.build.wheel", "runner_with_spinner_message", "builds", ("message",),
         "builds.beside.answers:_around_runner_with_spinner_message"),
    *(Seam(module, "build", "builds", ("requirements", "wheel_cache", "verify"),
           "builds.beside.wheels:_around_build", optional=("build_options", "global_options", "allow_editables"),
           idle_without="requirements")
      # Where it is bound by a from-import.
      for module in ("pip._internal.commands.install", "pip._internal.commands.wheel")),
    # pip's own cache does not know what a wheel was built against, and keeps none that pip could not have built.
    Seam("pip._internal.cache", "WheelCache.get_cache_entry", "builds", ("link", "package_name", "supported_tags"),
         "builds.rescue.cached:_around_get_cache_entry"),
    Seam("pip._internal.resolution.resolvelib.candidates", "LinkCandidate.__init__", "builds",
         ("link", "template", "factory", "name", "version"), "builds.rescue.cached:_around_link_candidate"),
    Seam("pip._internal.wheel_builder", "_get_cache_dir", "builds", ("req", "wheel_cache"),
         "builds.hooks:_around_get_cache_dir"),
    Seam("pip._internal.wheel_builder", "_build_one", "builds", ("req", "output_dir", "verify"),
         "builds.hooks:_around_build_one", optional=("build_options", "global_options", "editable")),

    # Reached by `get`, too.
    Seam("pip._internal.network.session", "PipSession.request", "index", ("method", "url", "args", "kwargs"),
         "network.session:_around_request"),
    # What comes over a network in other programs' hands.
    Seam("pip._internal.vcs.versioncontrol", "VersionControl.obtain", "program", ("dest", "url", "verbosity"),
         "network.offline:_around_obtain"),
    # While the resolver runs, what it will ask for is on its way; without the seam above nothing is.
    Seam("pip._internal.resolution.resolvelib.resolver", "Resolver.resolve", "index",
         ("root_reqs", "check_supported_wheels"), "resolver.resolve:_around_resolve"),
    Seam("pip._internal.resolution.resolvelib.candidates", "_InstallRequirementBackedCandidate.iter_dependencies",
         "index", ("with_requires",), "resolver.resolve:_around_candidate_dependencies"),
    Seam("pip._internal.resolution.resolvelib.candidates", "ExtrasCandidate.iter_dependencies", "index",
         ("with_requires",), "resolver.resolve:_around_extras_dependencies"),
    Seam("pip._internal.index.collector", "LinkCollector.collect_sources", "index",
         ("project_name", "candidates_from_page")),
    Seam("pip._internal.index.collector", "LinkCollector.fetch_response", "index", ("location",),
         optional=("package_name",)),
    # Called by the evaluation of index pages, which is pip's answers put together.
    Seam("pip._internal.index.package_finder", "LinkEvaluator.__init__", "index",
         ("project_name", "canonical_name", "formats", "target_python", "allow_yanked", "ignore_requires_python"),
         optional=("uploaded_prior_to",)),
    Seam("pip._internal.index.package_finder", "LinkEvaluator.evaluate_link", "index", ("link",)),
    Seam("pip._internal.index.package_finder", "CandidateEvaluator.get_applicable_candidates", "index",
         ("candidates",)),
    Seam("pip._internal.index.package_finder", "CandidateEvaluator._sort_key", "index", ("candidate",)),
    Seam("pip._internal.index.package_finder", "PackageFinder.find_all_candidates", "index", ("project_name",)),
    Seam("pip._internal.index.package_finder", "PackageFinder._log_skipped_link", "index",
         ("link", "result", "detail")),
    Seam("pip._internal.index.package_finder", "PackageFinder.process_project_url", "index",
         ("project_url", "link_evaluator"), "index.finder:_around_process_project_url", needs=_FETCHED_PAGES),
    Seam("pip._internal.index.package_finder", "PackageFinder.find_best_candidate", "index",
         ("project_name", "specifier", "hashes"), "index.finder:_around_find_best_candidate"),

    # The metadata files of candidates, and archives: the others are told by their names.
    Seam("pip._internal.operations.prepare", "File", "metadata", ("path", "content_type")),
    Seam("pip._internal.network.cache", "SafeFileCache._get_cache_path", "metadata", ("name",)),
    Seam("pip._internal.operations.prepare", "get_http_url", "metadata",
         ("link", "download", "download_dir", "hashes"), "metadata.side_files:_around_get_http_url"),
    # A METADATA that came alone: made into a distribution without a folder, its header read once.
    Seam("pip._internal.metadata.importlib._dists", "Distribution.from_metadata_file_contents", "metadata",
         ("metadata_contents", "filename", "project_name"),
         "metadata.distribution:_around_from_metadata_file_contents"),
    # The same for the METADATA in a wheel.
    Seam("pip._internal.metadata.importlib._dists", "Distribution.from_wheel", "metadata", ("wheel", "name"),
         "metadata.distribution:_around_from_wheel"),
    # Parses all requirements to see whether they can be parsed.
    Seam("pip._internal.resolution.resolvelib.candidates",
         "_InstallRequirementBackedCandidate._check_metadata_consistency", "metadata", ("dist",),
         "metadata.distribution:_around_check_metadata_consistency"),

    # Parses all requirements of a metadata file and of its wheel to compare them.
    Seam("pip._internal.operations.prepare", "_check_sidecar_matches_wheel", "metadata",
         ("req", "sidecar_dist", "wheel_dist"), "metadata.distribution:_around_check_sidecar_matches_wheel",
         since=(26, 2)),

    Seam("pip._internal.operations.install.wheel", "install_wheel", "install", _INSTALL_WHEEL,
         _PLACES_WHEELS, optional=("script_executable", "rollback_on_error"), writes=True),
    # Bound here by a from-import up to 26.1: matters when pip was imported before us.
    Seam("pip._internal.req.req_install", "install_wheel", "install", _INSTALL_WHEEL,
         _PLACES_WHEELS, before=(26, 2), writes=True,
         needs=("pip._internal.operations.install.wheel.install_wheel",)),
    # Called, so that scripts and messages are pip's own.
    Seam("pip._internal.operations.install.wheel", "PipScriptMaker.make", "install", ("specification", "options"),
         writes=True),
    Seam("pip._internal.operations.install.wheel", "get_console_script_specs", "install", ("console",)),
    Seam("pip._internal.operations.install.wheel", "message_about_scripts_not_on_PATH", "install", ("scripts",)),
    Seam("pip._internal.operations.install.wheel", "fix_script", "install", ("path",), writes=True),
    Seam("pip._internal.operations.install.wheel", "req_error_context", "install", ("req_description",)),

    # For each distribution in each of the resolver's rounds, and again in the check for conflicts.
    Seam("pip._internal.metadata.importlib._dists", "Distribution.iter_dependencies", "installed", ("extras",),
         "metadata.installed:_around_iter_dependencies"),
    # When a wheel is prepared, and once more in the check for conflicts.
    Seam("pip._internal.distributions.wheel", "WheelDistribution.get_metadata_distribution", "installed", (),
         "metadata.installed:_around_get_metadata_distribution"),
    # Taken from the name of a folder, some two hundred times for each distribution.
    Seam("pip._internal.metadata.importlib._dists", "Distribution.canonical_name", "installed", (), kept=True),
    Seam("pip._internal.resolution.resolvelib.candidates", "AlreadyInstalledCandidate.name", "installed", (),
         kept=True),

    # Twice for each candidate: all the tags are made into a set before anything is looked for.
    Seam("pip._internal.cache", "SimpleWheelCache.get", "resolution", ("link", "package_name", "supported_tags"),
         "resolver.memo:_around_wheel_cache_get"),
    # Asked twice a round for every project: ten thousand times for a hundred.
    Seam("pip._vendor.resolvelib.resolvers", "Resolution._is_current_pin_satisfying", "resolution",
         ("name", "criterion"), "resolver.memo:_instead_of_is_current_pin_satisfying", before=(25, 1), plain=True),
    Seam("pip._vendor.resolvelib.resolvers.resolution", "Resolution._is_current_pin_satisfying", "resolution",
         ("name", "criterion"), "resolver.memo:_instead_of_is_current_pin_satisfying", since=(25, 1), plain=True),
)


DEFERRED = ("pip._vendor.rich.traceback",)
"""Modules of pip's that it imports at its start and uses, if at all, in a function: with `--debug` here.
Executed when they are first used, and in any case before something is installed. Up to ``NEWEST_TESTED`` only."""

IMPORTED_TO_INSTALL = (
    "pip._internal.cli.main", "pip._internal.cli.main_parser", "pip._internal.cli.autocompletion",
    "pip._internal.commands.install", "pip._internal.metadata.importlib", "pip._internal.operations.install.wheel",
    "pip._internal.resolution.resolvelib.resolver", "pip._vendor.distro", "pip._vendor.truststore",
)
"""Modules of pip's that an installation has imported in the end; what some pip has not is left out."""

IMPORTED_TO_READ = ("email.parser", "encodings.cp437", "importlib.metadata._adapters")
"""Modules that whoever opens a wheel, or parses a whole METADATA, has imported. pip has done both when it begins
to install; of what comes out of the store, and of what it takes away, only when nothing can be imported."""

ASKERS = ("pip._internal.network.session", "pip._vendor.distro.distro")
"""Modules that call ``subprocess.check_output`` for what servers are told."""

STARTS_PROCESSES = "pip._internal.utils.subprocess"
"""The module whose ``subprocess.Popen`` starts pip's processes: builds, and what fills their environments."""

COLLECTS_ANSWERS = ("pip._vendor.cachecontrol.filewrapper", "NamedTemporaryFile")
"""Module and function of the files in which pip's cache collects an answer until it is whole."""

SERVERS_ANSWERS = r"/http(?:-v2)?(?:/[0-9a-f]){5}/[0-9a-f]{56}"
"""Pattern of paths in pip's HTTP cache: what is there is taken without asking, but for a time that servers set."""

SELF_CHECK = "/selfcheck/"
"""Part of the path of the file in which pip notes when it has asked for a newer pip, as ``last_check``."""

DRAWS_BARS = ("pip._internal.cli.progress_bars", "Progress")
"""Module and class of the bars of downloads. Replaced while a finished bar is drawn, which needs no thread."""

PROGRAM_NAME = ("pip._internal.utils.misc", "get_prog")
"""Module and function of the name in usage lines. Replaced, not wrapped: `list` and `--help` load no wrapt."""


LEFT_OUT_OF_FREEZE = ("pip._internal.commands.freeze", "_dev_pkgs", "DEV_PKGS")
"""Module, function and, before pip 23.2, set of the names that ``freeze`` leaves out. Replaced, as above."""


def seams_of(pip: str) -> list[Seam]:
    """Return the rows that speak of a pip."""
    version = parse_version(pip)
    return [seam for seam in SEAMS if seam.fits(version)]


def newest_tested() -> str:
    """Return the newest tested pip as one writes it."""
    return _text(NEWEST_TESTED)


def is_newer_than_tested(pip: str) -> bool:
    """Tell whether a pip is newer than the newest tested."""
    return _is_newer(parse_version(pip))


def can_defer(pip: str) -> bool:
    """Tell whether a pip is known to do without ``DEFERRED`` until it uses them."""
    version = parse_version(pip)
    return version >= OLDEST and not _is_newer(version)


def fetches_nothing_in_dry_run(pip: str) -> bool:
    """Tell whether a pip fetches no archive for ``install --dry-run`` whose metadata it has."""
    return parse_version(pip) >= (25, 3)


def fits(pip: Version, since: Version, before: Version | None) -> bool:
    """Tell whether a row that begins and ends with these speaks of a pip."""
    return since <= pip and (before is None or pip < before)


def _is_newer(pip: Version) -> bool:
    return pip[: len(NEWEST_TESTED)] > NEWEST_TESTED


def _text(version: Version) -> str:
    return ".".join(map(str, version))


def parse_version(text: str) -> Version:
    """Return the release numbers of a pip version: ``26.3.dev0`` is (26, 3)."""
    numbers: list[int] = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)

"""Who may name a distribution, and the version that is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipfast.extra_builds import read_extras
from pipfast.rescue.diagnosis.causes import MissingDistribution, MissingModule, NeedsOlderSetuptools
from pipfast.rescue.trust.policy import Grant, Refusal, decide, extra_grants
from pipfast.rescue.trust.trusted import FailingPackage, InstalledDistribution, Known

PACKAGE = FailingPackage("flash-attn", "2.8.3", requires=("einops",),
                         build_requires=("setuptools>=40.8.0", "wheel"))
NOTHING = Known(PACKAGE)


def module(name: str) -> MissingModule:
    return MissingModule(name)


def granted(cause: Any, known: Known, mode: Any = "on") -> Grant:
    found = decide(cause, known, mode)
    assert isinstance(found, Grant), found
    return found


def refused(cause: Any, known: Known, mode: Any = "on") -> Refusal:
    found = decide(cause, known, mode)
    assert isinstance(found, Refusal), found
    return found


def installed(name: str, version: str, *modules: str) -> InstalledDistribution:
    return InstalledDistribution(name, version, frozenset(modules))


OLD = installed("torch", "1.0", "torch")


def test_an_unknown_module_is_never_installed_by_its_name() -> None:
    """That a distribution of that name may exist on the index is no reason."""
    refusal = refused(module("stranger"), NOTHING)
    assert "stranger" in refusal.reason
    setting = "PIPFAST_EXTRA_BUILD_DEPENDENCIES='flash-attn: ...'"
    assert refusal.hint is not None and setting in refusal.hint


def test_the_table_is_the_last_word_and_takes_wheels_only() -> None:
    grant = granted(module("yaml"), NOTHING)
    assert (grant.requirement, grant.name, grant.wheels_only) == ("PyYAML", "PyYAML", True)
    assert "reviewed table" in grant.why


def test_named_leaves_the_table_out() -> None:
    """The hint then has the exact distribution, and can be copied."""
    refusal = refused(module("yaml"), NOTHING, "named")
    assert refusal.hint is not None
    value = refusal.hint.partition("PIPFAST_EXTRA_BUILD_DEPENDENCIES=")[2].strip("'")
    assert read_extras(value) == {"flash-attn": ("PyYAML",)}
    again = replace(NOTHING, extra=read_extras(value)["flash-attn"])
    assert not granted(module("yaml"), again, "named").wheels_only


def test_off_grants_nothing() -> None:
    assert refused(module("torch"), replace(NOTHING, requirements=("torch",)), "off").hint is None


@pytest.mark.parametrize(
    ("known", "who"),
    [
        (replace(NOTHING, requirements=("Torch>=2",)), "this command asks for it"),
        (replace(NOTHING, constraints={"torch==2.13.0+cpu": "c, line 1"}), "a constraint names it: c, line 1"),
        (replace(NOTHING, constraints={"torch==2.13.0+cpu": ""}), "a constraint names it"),
        (replace(NOTHING, resolved={"torch": "2.13.0+cpu"}), "this command installs it"),
        (replace(NOTHING, package=replace(PACKAGE, requires=("torch",))), "flash-attn itself requires it"),
        (replace(NOTHING, package=replace(PACKAGE, build_requires=("torch",))),
         "flash-attn declares it as a build requirement"),
        (replace(NOTHING, extra=("torch",)), "the setting extra-build-dependencies names it for flash-attn"),
        (replace(NOTHING, installed=(installed("torch", "1.0", "torch", "functorch"),)),
         "the environment has it, and its own record lists torch"),
    ],
)
def test_whoever_is_trusted_may_name_it(known: Known, who: str) -> None:
    """A name needs no table: also with ``named``, and not for wheels alone."""
    grant = granted(module("torch"), known, "named")
    assert (grant.why, grant.wheels_only) == (who, False)


def test_a_name_of_another_spelling_needs_the_table() -> None:
    """`yaml` and a requirement `PyYAML`: the table says that they belong together, nothing else does."""
    grant = granted(module("yaml"), replace(NOTHING, requirements=("pyyaml<7",)), "named")
    assert (grant.requirement, grant.wheels_only) == ("pyyaml<7", False)
    assert refused(module("_fancy_"), replace(NOTHING, requirements=("py-fancy",)))


def test_underscores_and_dashes_are_one_name() -> None:
    grant = granted(module("quad_tools"), replace(NOTHING, requirements=("Quad.Tools==3",)))
    assert grant.requirement == "Quad.Tools==3"


def test_an_installed_distribution_needs_its_own_record() -> None:
    """The name alone is no evidence, and another name is none against it."""
    known = replace(NOTHING, installed=(installed("stranger", "1.0"), installed("odd-name", "3.1", "inside")))
    assert isinstance(decide(module("stranger"), known, "on"), Refusal)
    grant = granted(module("inside"), known)
    assert (grant.requirement, grant.installed) == ("odd-name==3.1", True)


@pytest.mark.parametrize(
    ("known", "requirement", "kept"),
    [
        # What the run has chosen, whatever is there.
        ({"resolved": {"Torch": "2.0"}, "installed": (OLD,)}, "torch==2.0", False),
        ({"resolved": {"torch": "1.0"}, "installed": (OLD,)}, "torch==1.0", True),
        # What is there, as long as nobody asks for another one.
        ({"installed": (OLD,)}, "torch==1.0", True),
        ({"installed": (installed("torch", "1.0+cpu", "torch"),), "requirements": ("torch>=1",)},
         "torch==1.0+cpu", True),
        ({"installed": (OLD,), "requirements": ("torch>=2",)}, "torch>=2", False),
        ({"installed": (OLD,), "constraints": {"torch==2.0": ""}}, "torch==2.0", False),
        # What all say together.
        ({"requirements": ("torch>=1,<3",), "constraints": {"torch==2.13.0+cpu": ""}}, "torch>=1,<3,==2.13.0+cpu",
         False),
        ({"package": replace(PACKAGE, requires=("torch>=1.9",)), "constraints": {"torch<3": ""}}, "torch<3,>=1.9",
         False),
        # From where the user takes it.
        ({"requirements": ("torch @ https://host/torch-2.0-py3-none-any.whl",)},
         "torch @ https://host/torch-2.0-py3-none-any.whl", False),
    ],
)
def test_the_version_is_that_of_this_run(known: dict[str, Any], requirement: str, kept: bool) -> None:
    """Never an upgrade of what the target has, unless the run does that."""
    grant = granted(module("torch"), replace(NOTHING, **known))
    # The order of the clauses is no matter.
    assert sorted(grant.requirement.lower().replace("torch", "", 1).split(",")) == sorted(
        requirement.replace("torch", "", 1).split(",")
    )
    assert grant.installed is kept


def test_an_address_of_the_package_s_own_is_not_followed() -> None:
    """It would be fetched from where no user has said that anything should be."""
    package = replace(PACKAGE, requires=("stranger @ https://host/stranger.tar.gz",))
    assert refused(module("stranger"), replace(NOTHING, package=package))


@pytest.mark.parametrize(
    ("requirement", "counts"),
    [
        ("stranger; python_version < '3'", False),
        ("stranger; python_version >= '3'", True),
        ("stranger; extra == 'asked'", True),
        ("stranger; extra == 'gpu'", False),
        ("stranger; extra == 'asked' and python_version < '3'", False),
        ("-e .", False),
        ("./stranger", False),
    ],
)
def test_markers_of_the_package_s_requirements(requirement: str, counts: bool) -> None:
    """What is declared for another Python, or under an extra that nobody asks for, is not declared here."""
    known = replace(NOTHING, package=replace(PACKAGE, requires=(requirement,), extras=frozenset({"asked"})))
    assert isinstance(decide(module("stranger"), known, "on"), Grant) is counts


def test_what_is_not_installed_with_a_package_names_nothing() -> None:
    """Under ``--no-deps`` only what it declares for its build counts."""
    package = replace(PACKAGE, requires=("stranger",), build_requires=("tool",), alone=True)
    assert refused(module("stranger"), replace(NOTHING, package=package))
    assert granted(module("tool"), replace(NOTHING, package=package))


def test_no_build_requires_itself() -> None:
    """`import zenpy` in zenpy's own setup, by whatever name."""
    own = Known(FailingPackage("PyYAML"), requirements=("pyyaml",), resolved={"pyyaml": "6.0"})
    assert refused(module("yaml"), own).hint is None
    own = Known(FailingPackage("quad-iou"), requirements=("quad-iou",),
                installed=(installed("quad-iou", "0.1", "quad_iou"),))
    assert refused(module("quad_iou"), own).hint is None
    assert refused(MissingDistribution("quad_iou"), own).hint is None


def test_a_namespace_is_nobody_s() -> None:
    known = replace(NOTHING, requirements=("google", "ruamel"))
    assert refused(module("ruamel.other"), known)
    grant = granted(module("google.protobuf.internal"), NOTHING)
    assert grant.requirement == "protobuf"
    grant = granted(module("google.stranger"), replace(NOTHING, requirements=("google-stranger",)))
    assert grant.requirement == "google-stranger"


def test_pkg_resources_takes_a_setuptools_that_has_it() -> None:
    """Whatever setuptools the target has; the package's own specifiers hold."""
    cause = NeedsOlderSetuptools("pkg_resources", "82")
    grant = granted(cause, NOTHING, "named")
    assert (grant.requirement, grant.wheels_only) == ("setuptools>=40.8.0,<82", False)
    newer = replace(NOTHING, installed=(installed("setuptools", "83.0.0", "setuptools"),))
    assert granted(cause, newer).requirement == "setuptools>=40.8.0,<82"
    older = replace(NOTHING, installed=(installed("setuptools", "65.5.0", "setuptools", "pkg_resources"),))
    assert granted(cause, older).requirement == "setuptools==65.5.0" and granted(cause, older).installed
    alone = Known(FailingPackage("mmcv"))
    assert granted(cause, alone).requirement == "setuptools<82" and granted(cause, alone).wheels_only
    assert "setuptools<82" in (refused(cause, alone, "named").hint or "")


@pytest.mark.parametrize("asked", ["setuptools>=82", "setuptools==82.0.1", "setuptools>=81.9"])
def test_a_conflict_about_setuptools_is_not_solved(asked: str) -> None:
    """A build that must fail does."""
    known = replace(NOTHING, package=replace(PACKAGE, build_requires=(asked,)))
    assert refused(NeedsOlderSetuptools("pkg_resources", "82"), known).hint is None


def test_a_pinned_setuptools_stays_pinned() -> None:
    known = replace(NOTHING, constraints={"setuptools==74.1.3": ""})
    found = granted(NeedsOlderSetuptools("pkg_resources", "82"), known)
    assert found.requirement == "setuptools==74.1.3,>=40.8.0,<82"


@pytest.mark.parametrize("mode", ["on", "named"])
def test_a_message_alone_names_nothing(mode: Any) -> None:
    """Whoever it says depends on it: the setting that would allow it is all there is."""
    for by in ("", "flash-attn", "scipy", "the application"):
        refusal = refused(MissingDistribution("stranger>=1", by), NOTHING, mode)
        assert refusal.reason == "pipfast adds nothing that only a message of a build names"
        assert refusal.hint is not None and refusal.hint.endswith("'flash-attn: stranger'")


@pytest.mark.parametrize(("requires", "counts"), [
    (("stranger>=1",), True), (("Stranger >=1",), True), (("stranger>=2",), False), (("stranger",), False),
    ((), False), (("stranger>=1; extra == 'x'",), False), (("stranger @ https://h/s.whl",), False),
])
def test_a_distribution_that_the_metadata_it_speaks_of_names(requires: tuple[str, ...], counts: bool) -> None:
    """What the target has of ``scipy`` is asked whether it requires just that."""
    known = replace(NOTHING, installed=(InstalledDistribution("SciPy", "1.0", frozenset(), requires),))
    found = decide(MissingDistribution("stranger>=1", "other, scipy"), known, "named")
    assert isinstance(found, Grant) is counts
    if isinstance(found, Grant):
        assert (found.requirement, found.wheels_only) == ("stranger>=1", False)


def test_a_distribution_that_the_package_declares() -> None:
    """Both specifiers hold: the message does not widen what is declared."""
    known = replace(NOTHING, package=replace(PACKAGE, build_requires=("stranger<3",)))
    grant = granted(MissingDistribution("stranger>=1"), known, "named")
    assert (grant.requirement, grant.wheels_only) == ("stranger<3,>=1", False)
    here = replace(known, installed=(installed("stranger", "0.9", "stranger"),), resolved={"stranger": "0.9"})
    assert "0.9" in refused(MissingDistribution("stranger>=1"), here).reason
    chosen = replace(known, resolved={"stranger": "2.0"})
    assert granted(MissingDistribution("stranger>=1"), chosen).requirement == "stranger==2.0"


def test_pip_is_a_module_like_another() -> None:
    """The environment has it; where it does not, nobody names it."""
    grant = granted(module("pip"), replace(NOTHING, installed=(installed("pip", "26.3", "pip"),)), "named")
    assert (grant.requirement, grant.installed) == ("pip==26.3", True)
    assert refused(module("pip"), NOTHING)


def test_a_distribution_that_is_only_asked_about() -> None:
    """`importlib.metadata.version("stranger")` is easily a wrong name: somebody else must have named it."""
    refusal = refused(MissingDistribution("stranger"), NOTHING)
    assert refusal.hint is not None and "'flash-attn: stranger'" in refusal.hint
    named = replace(NOTHING, requirements=("stranger",))
    assert not granted(MissingDistribution("stranger"), named).wheels_only
    alone = Known(FailingPackage("bhtsne"))
    wheel = granted(MissingDistribution("wheel"), alone)
    assert (wheel.requirement, wheel.wheels_only) == ("wheel", True)
    assert not granted(MissingDistribution("wheel"), NOTHING, "named").wheels_only


def test_what_is_no_requirement_is_refused() -> None:
    for text in ("../x", "x @ https://host/x.whl", "a b"):
        assert refused(MissingDistribution(text), NOTHING)


def test_under_require_hashes_only_what_has_one() -> None:
    """Tier 1 with hashes; what is installed already is not fetched and needs none."""
    strict = replace(NOTHING, require_hashes=True, requirements=("torch==2.0",), resolved={"torch": "2.0"})
    assert "--require-hashes" in refused(module("torch"), strict).reason
    hashed = replace(strict, hashes={"Torch": ("sha256:aa", "sha256:bb")})
    assert granted(module("torch"), hashed).hashes == ("sha256:aa", "sha256:bb")
    assert refused(module("yaml"), replace(hashed, hashes={"PyYAML": ("sha256:aa",)}))
    here = replace(strict, installed=(installed("torch", "2.0", "torch"),))
    assert granted(module("torch"), here).hashes == ()
    assert isinstance(extra_grants(replace(strict, extra=("ninja",)))[0], Refusal)


def test_the_setting_stands_from_the_start() -> None:
    """And above all records: a fork of the user's choice brings the module."""
    known = replace(NOTHING, extra=("torch>=2", "ninja"), resolved={"torch": "2.1"})
    grants = [each.requirement for each in extra_grants(known) if isinstance(each, Grant)]
    assert grants == ["torch==2.1", "ninja"]
    other = installed("torch-fork", "1.0", "torch")
    known = replace(NOTHING, extra=("torch",), installed=(other, installed("torch", "2.2", "torch")))
    assert granted(module("torch"), known).requirement == "torch==2.2"


def test_a_package_without_a_name_is_called_by_its_address() -> None:
    """A hint can be pasted: it has no gap where none need be."""
    address = "git+file:///x#subdirectory=csrc/rotary"
    refusal = refused(module("yaml"), Known(FailingPackage("", address=address)), "named")
    assert refusal.reason == "pipfast may not add PyYAML (build-rescue = named)"
    assert refusal.hint is not None and refusal.hint.endswith(f"'{address}: PyYAML'")


def test_of_two_that_bring_a_module_the_named_one_is_taken() -> None:
    """opencv-python and its headless variant are both there."""
    both = (installed("opencv-python", "4.1", "cv2"), installed("opencv-python-headless", "4.2", "cv2"))
    known = replace(NOTHING, installed=both, requirements=("opencv-python-headless",))
    assert granted(module("cv2"), known).requirement == "opencv-python-headless==4.2"

"""nox: `pip` in each session's environment runs with pipfast, which is installed once, beside nox."""

import nox


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests."""
    session.run_install(
        "pipfast", "attach", "--prefix", session.virtualenv.location, external=True, silent=True
    )
    session.install("-r", "requirements.txt")
    session.run("python", "-m", "pytest", *session.posargs)

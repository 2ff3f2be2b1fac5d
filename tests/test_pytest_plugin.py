"""The fixtures in pytest runs of their own, with each way to run asynchronous tests."""

import os
import subprocess
import sys

import pytest

TALK = """
    import pytest
    from avatarwire import AgentListener, AvatarAgent, AvatarAgentConfig

    async def talk(emulator):
        config = AvatarAgentConfig("any", "avatar-1", base_url=emulator.base_url)
        async with AvatarAgent(config, AgentListener()) as agent:
            session, = emulator.sessions
            await agent.send_response_chunk("request-1", "response-1", 0, 0, "Welcome!")
            event = await session.wait_for("response.chunk")
        assert event["data"]["text"] == "Welcome!"
"""


@pytest.fixture
def run(tmp_path):
    """Run pytest on ``source`` where nothing but the installed plugins is configured."""

    def run(source, *options, mode="strict"):
        lines = source.strip("\n").split("\n")
        indent = len(lines[0]) - len(lines[0].lstrip())
        (tmp_path / "test_it.py").write_text("\n".join(line[indent:] for line in lines), "utf-8")
        (tmp_path / "pytest.ini").write_text(
            "[pytest]\nfilterwarnings = error\n"
            f"asyncio_mode = {mode}\nasyncio_default_fixture_loop_scope = function\n",
            "utf-8",
        )
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"},
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def test_pytest_asyncio_strict(run):
    code, output = run(
        TALK
        + """
    @pytest.mark.asyncio
    async def test_agent(liveavatar_emulator):
        await talk(liveavatar_emulator)
"""
    )
    assert code == 0, output
    assert "1 passed" in output


def test_pytest_asyncio_auto(run):
    code, output = run(
        TALK
        + """
    async def test_agent(liveavatar_emulator):
        await talk(liveavatar_emulator)

    async def test_each_has_its_own(liveavatar_emulator, akool_emulator):
        assert liveavatar_emulator.sessions == akool_emulator.sessions == []
        assert akool_emulator.discovery_url != liveavatar_emulator.base_url
""",
        mode="auto",
    )
    assert code == 0, output
    assert "2 passed" in output


@pytest.mark.parametrize("options", [[], ["-p", "no:asyncio", "-W", "ignore:Unknown config"]])
def test_anyio_beside_pytest_asyncio_and_alone(run, options):
    code, output = run(
        TALK
        + """
    @pytest.fixture
    def anyio_backend():
        return "asyncio"

    @pytest.mark.anyio
    async def test_agent(liveavatar_emulator):
        await talk(liveavatar_emulator)
""",
        *options,
    )
    assert code == 0, output
    assert "1 passed" in output


@pytest.mark.parametrize("fixture", ["liveavatar_emulator", "akool_emulator"])
def test_a_missing_extra_is_named(run, fixture):
    code, output = run(
        f"""
    import sys
    sys.modules["aiohttp"] = None  # what an import finds where it is not installed

    def test_agent({fixture}):
        pass
"""
    )
    assert code == 1, output
    assert 'the emulator needs an extra: pip install "avatarwire[emulator]"' in output


def test_a_run_without_it_loads_nothing_of_the_package_but_the_plugin(run):
    code, output = run(
        """
    import sys

    def test_nothing():
        ours = {name for name in sys.modules if name.startswith("avatarwire")}
        assert "avatarwire.pytest_plugin" in ours
        assert ours <= {
            "avatarwire", "avatarwire._lazy", "avatarwire._version", "avatarwire.pytest_plugin"
        }
        assert "aiohttp" not in sys.modules
"""
    )
    assert code == 0, output


def test_the_fixtures_are_listed_with_what_they_are(run):
    code, output = run("", "--fixtures")
    assert code in {0, 5}, output
    assert "A Live Avatar platform on this machine." in output
    assert "An Akool platform on this machine." in output

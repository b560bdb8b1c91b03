"""What command lines share, in a process of its own: any name is printed, closed streams too."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from depth.command import command_line, path_option
from tests.support.places import ROOT

_SAYS = """
import logging, os, sys
from pathlib import Path
import typer
from depth.command import command_line, guarded
from depth.errors import InputError
app = command_line()
@app.command()
def say(folder: Path) -> None:
    (name,) = folder.iterdir()
    logging.getLogger("a").warning("log %s", name.name)
    print("print", name.name)
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        stream.flush()
        os.close(os.dup(number))  # as a Neuron build keeps its own
    typer.echo(f"echo {name.name}")
    raise InputError(f"error {name.name}")
guarded(app, "say")
"""


def said(folder: Path, name: bytes, encoding: str, redirect: str = "") -> tuple[int, bytes, bytes]:
    """Exit code, stdout and stderr of a command that says this file name in every way."""
    (folder / os.fsdecode(name)).touch()
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", _SAYS, str(folder)],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_name_that_is_no_utf8_is_printed_as_it_is(tmp_path: Path) -> None:
    code, out, err = said(tmp_path, b"caf\xe9.jpg", "utf-8")
    assert (code, out) == (2, b"print caf\xe9.jpg\necho caf\xe9.jpg\n")
    assert err == b"log caf\\udce9.jpg\nsay: error caf\\udce9.jpg\n"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
@pytest.mark.parametrize("name", [b"caf\xe9.jpg", "ﬁg é.jpg".encode()], ids=["bytes", "UTF-8"])
def test_every_name_is_printed_in_other_encodings(
    tmp_path: Path, encoding: str, name: bytes
) -> None:
    code, out, err = said(tmp_path, name, encoding)
    assert (code, out.count(b"\n"), err.count(b"\n")) == (2, 2, 2)
    assert out.count(b".jpg\n") == err.count(b".jpg\n") == 2


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_do_not_end_a_command_early(tmp_path: Path, redirect: str) -> None:
    code, out, err = said(tmp_path, b"a", "utf-8", redirect)
    assert code == 2
    assert out == (b"" if redirect.startswith(">") else b"print a\necho a\n")
    assert err == (b"" if "2>" in redirect else b"log a\nsay: error a\n")


_FAILS = """
import sys
from depth.command import command_line, guarded
app = command_line()
@app.command()
def fail() -> None:
    {body}
guarded(app, "fail")
"""


def ended(body: str, redirect: str = "") -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command with this body."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-c", _FAILS.format(body=body)],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_result_that_stdout_does_not_take_is_a_failure() -> None:
    error = "fail: stdout: No space left on device; the result is not complete\n"
    assert ended("print('x' * 99999)", ">/dev/full") == (1, "", error)
    assert ended("print('x'); sys.exit(3)", ">/dev/full") == (3, "", "")  # it failed in any case
    assert ended("print('x')", "2>/dev/full") == (0, "x\n", "")


def test_a_log_that_stderr_does_not_take_ends_nothing() -> None:
    body = "import logging; logging.warning('a'); print('x', file=sys.stderr); print('done')"
    assert ended(body, "2>/dev/full") == (0, "done\n", "")


def test_without_torch_the_line_says_how_to_install_it() -> None:
    code, _, err = ended("sys.modules['torch'] = None; import torch")
    assert code == 1
    assert err == (
        'fail: this command needs torch, which is not installed: pip install ".[cpu]", or, in a '
        "checkout, `make setup`\n"
    )
    assert "Traceback" in ended("import no_such_module_of_ours")[2]


def test_errors_and_logs_hold_no_control_characters_and_no_passwords() -> None:
    raises = "from depth.errors import InputError; raise InputError({!r})".format
    text = "a\x1b[31m: http://user:pa@ss/w@mirror:80/x"
    assert ended(raises(text))[2] == "fail: a\\x1b[31m: http://mirror:80/x\n"
    logs = f"import logging; logging.getLogger('a').warning('%s', {text!r})"
    assert ended(logs)[2] == "a\\x1b[31m: http://mirror:80/x\n"


@pytest.mark.parametrize("error", [KeyError, RuntimeError])
def test_a_home_folder_that_nobody_has_is_a_wrong_value(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def homeless(_path: Path) -> Path:
        raise error("uid not found: 54321")

    def say(folder: Path) -> None:
        typer.echo(folder)

    monkeypatch.setattr(Path, "expanduser", homeless)
    app = command_line()
    say.__defaults__ = (path_option(Path("x"), "A folder."),)
    app.command()(say)
    done = CliRunner().invoke(app, ["--folder", "~/x"])
    assert done.exit_code == 2
    assert "no home directory" in done.output

import ast
import os
import subprocess
import sys

from spheredc_hpc.kernels.caches import ROOM, imported_files, sources_digest

CALLER = """
import numba
from spheredc_hpc.kernels import caches
caches.ROOM = __import__("pathlib").Path(__file__).parent
sys = __import__("sys")
sys.path.insert(0, str(caches.ROOM))
from part import answer as called
# The statement that a module of the room would have instead of the one above:
#   from spheredc_hpc.kernels.part import answer
{statement}

@numba.njit(cache=True)
def ask():
    return called()

print(ask())
"""
PART = """
import numba

@numba.njit
def answer():
    return {value}
"""


def room_of_two(folder, value, watched=True):
    """Write a module that calls another one, and run it in a new process.

    The files keep their sizes and dates, as on a file system with coarse dates. Python itself would
    then run old code of the changed one, so it may not keep any.
    """
    statement = "if False:\n    from spheredc_hpc.kernels.part import answer" if watched else ""
    (folder / "caller.py").write_text(CALLER.format(statement=statement))
    (folder / "part.py").write_text(PART.format(value=value))
    for file in folder.glob("*.py"):
        os.utime(file, (1e9, 1e9))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA_CACHE")}
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    run = subprocess.run(  # noqa: S603 - runs the file written above
        [sys.executable, str(folder / "caller.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(run.stdout)


def test_change_of_a_called_module_reaches_a_cached_caller(tmp_path):
    assert room_of_two(tmp_path, 1) == 1
    assert room_of_two(tmp_path, 2) == 2


def test_caller_is_read_from_its_cache_where_the_import_is_not_seen(tmp_path):
    # Else the test above would pass without any cache.
    assert room_of_two(tmp_path, 1, watched=False) == 1
    assert room_of_two(tmp_path, 2, watched=False) == 1


def test_imports_of_every_kernel_are_found():
    for path in ROOM.glob("*.py"):
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert not any(alias.name.startswith("spheredc_hpc") for alias in node.names), path
            if isinstance(node, ast.ImportFrom) and node.module == "spheredc_hpc.kernels":
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module.startswith(
                "spheredc_hpc.kernels."
            ):
                wanted.add(node.module.rpartition(".")[2])
        assert {found.stem for found in imported_files(path)} == wanted, path


def test_digest_follows_imports_of_imports(tmp_path):
    texts = {
        "one": "from spheredc_hpc.kernels import (\n    two,\n)\n",
        "two": "from spheredc_hpc.kernels.three import x\nfrom spheredc_hpc.kernels.one import y\n",
        "three": "x = 1\n",
        "four": "x = 1\n",
    }
    for name, text in texts.items():
        (tmp_path / f"{name}.py").write_text(text)
    before = sources_digest(tmp_path / "one.py"), sources_digest(tmp_path / "four.py")
    (tmp_path / "three.py").write_text("x = 2\n")
    imported_files.cache_clear()
    sources_digest.cache_clear()
    assert sources_digest(tmp_path / "one.py") != before[0]
    assert sources_digest(tmp_path / "four.py") == before[1]

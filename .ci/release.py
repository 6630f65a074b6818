"""Build wheel and sdist, try the wheel where nothing else is, list what it brings: `make release`.

Everything lands in `dist/`: both packages and `egide-VERSION.cdx.json`, an SBOM in CycloneDX of the
wheel with what `requirements.lock` names, as it was installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
DIST = ROOT / "dist"
PACKAGE = "src/egide"
CODE = frozenset({".py"})


def main() -> None:
    """Make a release, or end with what is wrong with it."""
    shutil.rmtree(DIST, ignore_errors=True)
    python("-m", "build", "--outdir", str(DIST), str(ROOT))
    (wheel,) = DIST.glob("*.whl")
    (sdist,) = DIST.glob("*.tar.gz")
    python("-m", "twine", "check", "--strict", str(wheel), str(sdist))
    require_files(wheel)
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder) / "installed"
        venv.create(installed, with_pip=False)
        pip = [sys.executable, "-m", "pip", "--python", str(installed / "bin" / "python")]
        run(*pip, "install", "--quiet", "--require-hashes", "-r", str(ROOT / "requirements.lock"))
        run(*pip, "install", "--quiet", "--no-deps", str(wheel))
        run(*pip, "check")
        try_out(installed / "bin" / "egide", Path(folder) / "work")
        _, version, *_ = wheel.name.split("-")
        sbom = DIST / f"egide-{version}.cdx.json"
        python(
            "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml"),
            "--output-reproducible", "--output-file", str(sbom), str(installed / "bin" / "python"),
        )  # fmt: skip
    print(*(path.name for path in sorted(DIST.iterdir())), sep="\n")


def require_files(wheel: Path) -> None:
    """Refuse a wheel that lacks a file of the package, such as a template or a catalogue."""
    listed = ["git", "-C", str(ROOT), "ls-files", PACKAGE]
    tracked = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split()
    with zipfile.ZipFile(wheel) as archive:
        inside = set(archive.namelist())
    missing = [path for path in tracked if path.removeprefix("src/") not in inside]
    if missing:
        sys.exit("The wheel lacks:\n" + "\n".join(missing))
    print(f"The wheel has all {len(tracked)} files of {PACKAGE}")


def try_out(egide: Path, work: Path) -> None:
    """Register a picture and audit the folder that holds it, with what was installed."""
    work.mkdir()
    run(str(egide), "--version")
    photos = work / "photos"
    photos.mkdir()
    shutil.copy(ROOT / "docs" / "report.png", photos)
    run(str(egide), "bank", "create", "helpline", cwd=work)
    run(str(egide), "bank", "add", "helpline", "photos", cwd=work)
    run(str(egide), "audit", "photos", "--out", "audit", cwd=work, expected=1)
    if not (work / "audit" / "report.html").is_file():
        sys.exit("The audit wrote no report")


def python(*arguments: str) -> None:
    """Run a module of the environment that the release is made in."""
    run(sys.executable, *arguments)


def run(*command: str, cwd: Path | None = None, expected: int = 0) -> None:
    """Run a command, and end with it if it fails."""
    code = subprocess.run(command, cwd=cwd, check=False).returncode
    if code != expected:
        sys.exit(f"{' '.join(command)} ended with {code}")


if __name__ == "__main__":
    main()

"""The contracts themselves: the documented source passes, and each known defect is found."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

BROKEN = Path(__file__).with_name("broken.py")
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "testing.md"
FOUND_BY = {
    "Silent": "test_a_file_that_is_cut_is_told",
    "Greedy": "test_few_items_are_in_memory_at_once",
    "Remembering": "test_a_shard_is_read_in_another_process_from_its_json",
    "Shortsighted": "test_differences_that_stand_together_are_found",
    "Forgetful": "test_nothing_of_an_erased_row_is_left",
}


@pytest.mark.slow
def test_the_documented_source_passes_and_each_known_defect_is_found(tmp_path: Path) -> None:
    text = DOCUMENT.read_text("utf-8")
    source, its_test, *_ = re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (tmp_path / "json_lines.py").write_text(source)
    (tmp_path / "test_json_lines.py").write_text(its_test)
    shutil.copy(BROKEN, tmp_path)
    done = subprocess.run(
        [
            *(sys.executable, "-W", "error", "-m", "pytest", "-q", "--tb=line", "-rfE"),
            *(
                "test_json_lines.py",
                *(f"broken.py::Test{name}::{test}" for name, test in FOUND_BY.items()),
            ),
        ],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    failed = set(re.findall(r"^FAILED \S+::Test(\w+)::(\w+)", done.stdout, re.MULTILINE))
    assert failed == set(FOUND_BY.items()), done.stdout
    assert re.search(r"\b1\d passed in", done.stdout), done.stdout

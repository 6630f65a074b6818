"""The first file that a child interpreter runs: it sets the module path and runs a module.

`python -P -s launcher.py FOLDERS HOME MODULE ARGUMENTS…`: FOLDERS is a JSON list, HOME the folder
that contains Egide itself.
"""

import json
import os
import runpy
import sys
from importlib.machinery import PathFinder
from importlib.util import module_from_spec


def main() -> None:
    """Run the module that the command line names."""
    folders, home, module, *arguments = sys.argv[1:]
    standard = os.path.dirname(os.__file__)  # noqa: PTH120 - a frozen module has it as text
    first = [standard, os.path.join(standard, "lib-dynload")]  # noqa: PTH118
    sys.path[:] = dict.fromkeys([*first, *json.loads(folders), *sys.path])
    # Load the same Egide that started this process, without searching its folder for anything
    # else.
    spec = PathFinder.find_spec("egide", [home])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["egide"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["egide"])
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

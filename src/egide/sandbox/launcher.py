"""The first file that a child interpreter runs: it sets the module path and runs a module.

`python -P -s launcher.py FOLDERS HOME MODULE ARGUMENTS…`: a JSON list of folders, and the one that
Egide itself is in.
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
    # The very Egide that started this one, wherever it was found, and its folder not searched for
    # anything else.
    spec = PathFinder.find_spec("egide", [home])
    assert spec is not None
    assert spec.loader is not None
    sys.modules["egide"] = module_from_spec(spec)
    spec.loader.exec_module(sys.modules["egide"])
    sys.argv[1:] = arguments
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()

"""Every error that Egide raises on purpose.

One root, `EgideError`. Below it stand categories, such as `Missing` and `Busy`, which carry the exit
code and the HTTP status; below these the errors, in a module for each room of the house. Each has a
stable `code`, and its docstring is its message: the fields in braces are the keyword arguments of
the constructor. Messages name the thing that is wrong and the remedy. They are shown to the person
at the terminal and stored in audit reports, never written to a log. `docs/reference/errors.md` lists them all.
"""

from egide.errors.access import *
from egide.errors.attestations import *
from egide.errors.audits import *
from egide.errors.base import *
from egide.errors.fingerprints import *
from egide.errors.machine import *
from egide.errors.people import *
from egide.errors.pictures import *
from egide.errors.purging import *
from egide.errors.reaching import *
from egide.errors.requests import *
from egide.errors.store import *

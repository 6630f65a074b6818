"""Turn an index's candidates, and the state of their entries, into matches."""

from egide.matching.fingerprints import MAX_MATCHES, Matcher
from egide.matching.found import Found, Holdings
from egide.matching.scope import Scope, scope_of
from egide.matching.thorough import ThoroughMatcher

__all__ = ["MAX_MATCHES", "Found", "Holdings", "Matcher", "Scope", "ThoroughMatcher", "scope_of"]

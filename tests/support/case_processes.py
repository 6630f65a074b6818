"""What other processes do to cases; imported by each anew, so it imports little."""

from case_samples import PIN, image, submission
from egide.security import passwords
from egide.store.changing import ChangingStore as Store
from egide.usecases.cases import Casework


def open_case(url: str, name: int) -> int:
    """Open a case with two pictures, or find the one that this submission has opened."""
    passwords.MEMORY_KIB, passwords.PASSES = 64, 1
    with Store.open(url, busy_timeout_s=60) as store:
        images = [image(1), image(2)]
        return Casework(store, "helpline").open(images, PIN, submission=submission(name)).id

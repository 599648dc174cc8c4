# SPDX-License-Identifier: GPL-3.0-or-later
"""Seeds of random tests, and how much they try.

DIRDISK_SEED is the seed of a whole run: tools/test takes it from the commit,
or from chance with --soak; unset, it is drawn here. seeds.h does the same for C.
DIRDISK_SOAK=1: many more trials; DIRDISK_BRIEF=1: a tenth of the usual ones.
"""

import hashlib
import os
import pathlib
import random

SOAK = bool(os.environ.get("DIRDISK_SOAK"))
BRIEF = bool(os.environ.get("DIRDISK_BRIEF"))
RUN = int(os.environ.get("DIRDISK_SEED") or str(random.randrange(2**32)), 0)
# The programs that a test starts draw from the same.
os.environ["DIRDISK_SEED"] = str(RUN)


def of(path):
    """The seed of a test file: the run's, with the file's name mixed in."""
    text = f"{RUN} {pathlib.Path(path).stem}".encode()
    digest = hashlib.blake2b(text, digest_size=4).digest()
    return int.from_bytes(digest, "little")


def trials(usual, soak):
    """How many trials to make."""
    return soak if SOAK else max(1, usual // 10) if BRIEF else usual


def dice(path):
    return random.Random(of(path))

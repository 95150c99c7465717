"""What Python's garbage collector need not look through while millions of events are read in a row."""

import gc


def spare_the_program() -> None:
    """Leave all that there is now, the program itself, out of later collections: called once, when a process is ready.

    What is read in a row makes collections frequent, and a full one looks through everything that lives.
    """
    gc.collect()
    gc.freeze()

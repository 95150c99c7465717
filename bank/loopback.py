"""What this machine's own addresses are, and where a server is told to listen."""

from collections.abc import Iterator, Sequence
from ipaddress import IPv6Address, ip_address
from pathlib import Path

LOOPBACK_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
"""The names of this machine that the settings take; 127.0.0.2 and its like are nothing that anybody needs."""


def is_loopback(address: str) -> bool:
    """Tell whether `address` is of this machine: 127.0.0.0/8, ::1, or the former as IPv6 writes it."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    # Python 3.13 and newer see through the mapping; older ones do not.
    return ((found.ipv4_mapped if isinstance(found, IPv6Address) else None) or found).is_loopback


def hosts_to_listen_on(*, command_line: Sequence[str]) -> Iterator[str]:
    """Yield the addresses that the command line of granian, or of `manage.py runserver`, has the server listen on."""
    program, *arguments = command_line or [""]
    if "granian" in Path(program).parts or Path(program).name == "granian":
        for option, value in zip(arguments, [*arguments[1:], ""], strict=True):
            if option == "--host":
                yield value
            elif option.startswith("--host="):
                yield option.removeprefix("--host=")
    elif arguments[:1] == ["runserver"]:
        for argument in arguments[1:]:
            host, colon, port = argument.rpartition(":")
            if colon and port.isdecimal():
                yield host

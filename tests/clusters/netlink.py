"""Network interfaces by messages to the Linux kernel: no program such as `ip` need be installed.

The numbers are those of linux/rtnetlink.h, linux/if_link.h and linux/sockios.h.
"""

import fcntl
import os
import socket
import struct
import sys

NEW, DELETE = 16, 17  # RTM_NEWLINK, RTM_DELLINK
REQUEST_AND_ACKNOWLEDGE, CREATE = 0x1 | 0x4, 0x400 | 0x200  # NLM_F_CREATE, NLM_F_EXCL
NAME, INFO, NAMESPACE_OF = 3, 18, 19  # IFLA_IFNAME, IFLA_LINKINFO, IFLA_NET_NS_PID
KIND, DATA, PEER = 1, 2, 1  # IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER
SET_ADDRESS, SET_MASK, GET_FLAGS, SET_FLAGS = 0x8916, 0x891C, 0x8913, 0x8914
UP = 1
_ERROR = 2  # NLMSG_ERROR, which is also how the kernel says that all is well


def pair(here: str, there: str, pid: int) -> None:
    """Make a cable: interface `here`, and `there` in the network namespace of process `pid`.

    Raises:
        PermissionError: If this process may not make interfaces.
    """
    far_end = _link() + _text(NAME, there) + _attribute(NAMESPACE_OF, struct.pack("=I", pid))
    info = _text(KIND, "veth") + _attribute(DATA, _attribute(PEER, far_end))
    _ask(NEW, CREATE, _link() + _text(NAME, here) + _attribute(INFO, info))


def remove(name: str) -> None:
    """Remove an interface, and the other end of its cable."""
    _ask(DELETE, 0, _link() + _text(NAME, name))


def give(name: str, address: str, mask: str = "255.255.255.252") -> None:
    """Give an interface its address, and switch it on."""
    for request, value in (SET_ADDRESS, address), (SET_MASK, mask):
        inet = struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(value))
        _control(request, name, inet)
    switch(name, on=True)


def switch(name: str, *, on: bool) -> None:
    """Switch an interface on or off, which is what pulling the cable does."""
    (flags,) = struct.unpack("=H", _control(GET_FLAGS, name, bytes(16))[16:18])
    _control(SET_FLAGS, name, struct.pack("=H", flags | UP if on else flags & ~UP) + bytes(14))


def _control(request: int, name: str, rest: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return fcntl.ioctl(
            any_socket, request, struct.pack("=16s", name.encode()) + rest + bytes(8)
        )


def _link() -> bytes:
    return bytes(16)  # struct ifinfomsg: any family, no index yet


def _text(kind: int, value: str) -> bytes:
    return _attribute(kind, value.encode() + b"\0")


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _ask(what: int, flags: int, body: bytes) -> None:
    message = struct.pack("=IHHII", 16 + len(body), what, REQUEST_AND_ACKNOWLEDGE | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as kernel:
        kernel.send(message + body)
        kind, error = struct.unpack_from("=4xH10xi", kernel.recv(65536))
    if kind != _ERROR or error:
        raise OSError(-error, f"the network cannot be set up: {os.strerror(-error)}")


if __name__ == "__main__":  # NAME on, or NAME off
    switch(sys.argv[1], on=sys.argv[2] == "on")

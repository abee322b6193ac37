"""The errors that the command line expects, in one tree.

IotStreamError            what happened and what to do; the command prints it as one line and exits with 1
├── SetupError            this machine lacks something (a free port, a download, a program)
├── StackError            the deployed stack is missing, or not as expected
└── …                     rooms add their own, derived from these
"""

__all__ = ["IotStreamError", "SetupError", "StackError"]


class IotStreamError(Exception):
    """Base class; the message is one line that says what happened and what to do."""


class SetupError(IotStreamError):
    """This machine is not ready: a port in use, a failed download, a program that does not start."""


class StackError(IotStreamError):
    """The deployed stack, or a part of it, is missing or not as expected."""

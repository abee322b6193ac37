"""Lambda's context object, as far as the functions read it (AWS page "AWS Lambda context object in Python")."""

__all__ = ["LambdaContext"]


class LambdaContext:
    """The context of an invocation with so many seconds left."""

    def __init__(self, seconds: float = 600) -> None:
        self.seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds left."""
        return int(self.seconds * 1000)

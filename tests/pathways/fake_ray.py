"""A stand-in for Ray in one process: calls run at once, in order, on hosts that a test may kill at any call.

What it keeps of Ray: a result lives on when its host dies; a call whose argument is an error does not run and fails
with that error as its cause; a dead host fails every call; a stopped one never answers.
"""

from collections.abc import Callable, Sequence
from typing import Any

from palmetto.pathways.gang import Gang
from palmetto.pathways.host import Host


class RayError(Exception):
    cause: BaseException | None = None


class ActorDiedError(RayError):
    pass


class RayTaskError(RayError):
    def __init__(self, cause: BaseException) -> None:
        super().__init__(str(cause))
        self.cause = cause


class GetTimeoutError(RayError, TimeoutError):
    pass


class Ref:
    def __init__(self, value: Any = None, error: BaseException | None = None, ready: bool = True) -> None:
        self.value, self.error, self.ready = value, error, ready


class exceptions:
    RayError = RayError
    RayTaskError = RayTaskError


def put(value: Any) -> Ref:
    return Ref(value)


def get(refs: Any, timeout: float | None = None) -> Any:
    if isinstance(refs, list):
        for ref in refs:
            if ref.error is not None:
                raise ref.error
        return [get(ref, timeout) for ref in refs]
    if refs.error is not None:
        raise refs.error
    if not refs.ready:
        raise GetTimeoutError("not ready")
    return refs.value


def wait(refs: list[Ref], num_returns: int = 1, timeout: float | None = None) -> tuple[list[Ref], list[Ref]]:
    ready = [ref for ref in refs if ref.ready][:num_returns]
    return ready, [ref for ref in refs if ref not in ready]


def available_resources() -> dict[str, float]:
    return {"CPU": 0.0, "node:here": 1.0}


class FakeGang(Gang):
    """One island of one host, in this process."""

    def __init__(self, number: int, host: Host, strike: Callable[["FakeGang", str], str | None]) -> None:
        """Make calls on `host`; `strike` may answer `kill` or `stop` before any of them."""
        self.number, self.host, self.asked = number, host, 0.0
        self._strike, self._state = strike, "alive"
        self.facts: list[dict[str, Any]] = []
        self._prepared: dict[tuple[int, int], list[Any]] = {}
        self.formed = self.call("form")

    def call(
        self, method: str, *arguments: Any, each: Sequence[Sequence[Any]] | None = None, returns: int = 1
    ) -> list[Any]:
        ref = self._run(method, [*arguments, *([] if each is None else each[0])])
        if returns == 1:
            return [ref]
        if ref.error is not None or not ref.ready:
            return [[Ref(error=ref.error, ready=ref.ready) for _ in range(returns)]]
        return [[Ref(part) for part in ref.value]]

    def _run(self, method: str, arguments: list[Any]) -> Ref:
        if self._state == "alive" and (fault := self._strike(self, method)):
            self._state = fault
        if self._state == "kill":
            return Ref(error=ActorDiedError("died"))
        if self._state == "stop":
            return Ref(ready=False)
        refs = [argument for argument in arguments if isinstance(argument, Ref)]
        for ref in refs:
            if ref.error is not None:
                return Ref(error=RayTaskError(ref.error))
            if not ref.ready:
                return Ref(error=RayTaskError(ActorDiedError("what it waits for was stopped")))
        values = [argument.value if isinstance(argument, Ref) else argument for argument in arguments]
        try:
            return Ref(getattr(self.host, method)(*values))
        except Exception as error:
            # As Ray's, an error of a task is also of the kind that the task raised.
            kind = type("RayTaskError", (RayTaskError, type(error)), {})
            return Ref(error=kind(error))

    def end(self) -> None:
        self._state = "kill"

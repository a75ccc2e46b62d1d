"""The policy as a worker works by it."""

from __future__ import annotations

from collections.abc import Callable

from vpn.domain.acl import CompiledPolicy
from vpn.domain.errors import DomainError
from vpn.proxy import control
from vpn.proxy.background import Background
from vpn.proxy.countries import Countries

FEW = 200  # rules; so few are compiled at once, in a few milliseconds, and more in the background


class Rules:
    """Makes of the policies that come what the worker decides by.

    Args:
        background: where large ones are compiled, while the loop goes on.
        decide_by: takes each, once it is compiled.
    """

    def __init__(self, background: Background, decide_by: Callable[[CompiledPolicy], None]) -> None:
        self._background = background
        self._decide_by = decide_by
        self.version = -1
        """Of the policy that is in force; -1: none has come."""

    def work_from(self, message: control.Rules, done: Callable[[str], None]) -> None:
        """Work by this policy from now on; `done` is called then with nothing, or with why that cannot be.

        In the second case the policy before it goes on.
        """
        made: list[CompiledPolicy] = []

        def compile() -> BaseException | None:
            countries = Countries(message.geoip) if message.geoip else None
            made.append(CompiledPolicy(message.policy, countries.code if countries else None))
            return None

        def finish(error: BaseException | None) -> None:
            if isinstance(error, DomainError):
                done(error.message)
            elif error is not None:
                raise error
            else:
                self._swap(message.version, made[0])
                done("")

        if sum(1 for _ in message.policy.rules()) > FEW:
            self._background.run(compile, finish)
            return
        try:
            compile()
        except DomainError as error:
            finish(error)
        else:
            finish(None)

    def _swap(self, version: int, compiled: CompiledPolicy) -> None:
        if version < self.version:  # a small one that came later was ready earlier
            return
        self.version = version
        self._decide_by(compiled)

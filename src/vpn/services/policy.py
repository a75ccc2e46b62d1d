"""The policy: which one holds, changing it, and what it says.

It is at home in the database, where every version is kept, or in a file, which is watched. Whatever comes is
checked and compiled here first; what is wrong changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple, ParamSpec, TypeVar

import msgspec
import structlog

from vpn.domain.acl import CompiledPolicy
from vpn.domain.errors import Conflict, DomainError, Invalid
from vpn.domain.policy import Policy
from vpn.domain.policy_document import dump_policy
from vpn.domain.policy_text import policy_text
from vpn.proxy.control import Rules
from vpn.services.policy_source import Signature, compile_document, compile_file, compile_policy, signature
from vpn.services.policy_trial import Attempt, GroupsOf, Trial, try_policy
from vpn.services.tracing import NoTracer, Tracer
from vpn.settings.policy import PolicySettings
from vpn.store.policies import Outline, PolicyStore, Version, changed_meanwhile, digest_of

_Given = ParamSpec("_Given")
_Compiled = TypeVar("_Compiled")

LOOK = 0.05  # seconds between two looks at the files; one that stays the same for as long is complete
AUTHOR_LIMIT = 64
COMMENT_LIMIT = 500

Publish = Callable[[Rules], Awaitable[None]]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The policy that holds."""

    mode: str
    file: str
    """Its home, where that is a file."""
    version: Version
    problem: str = ""
    """Why the file is not what holds: it is wrong since it was last changed."""


class Loaded(NamedTuple):
    """A policy read from its home, ready to be taken over."""

    settings: PolicySettings
    seen: Signature
    standing: Standing
    rules: CompiledPolicy


class PolicyService:
    """The one way to the policy. A change is in force in the data plane when its method returns.

    Args:
        store: the versions.
        settings: where the policy is at home.
        groups_of_user: the groups of a user as the store knows them.
        clock: the present moment, with a time zone.
    """

    def __init__(
        self,
        store: PolicyStore,
        settings: PolicySettings,
        groups_of_user: GroupsOf,
        clock: Callable[[], datetime],
        tracer: Tracer | None = None,
    ) -> None:
        self._tracer = tracer or NoTracer()
        self._store = store
        self._settings = settings
        self._groups_of_user = groups_of_user
        self._clock = clock
        self._publish: Publish | None = None
        self._loaded: Loaded | None = None
        self._watching: asyncio.Task[None] | None = None
        self._sent = 0
        self._order = asyncio.Lock()

    async def start(self, publish: Publish) -> Rules:
        """Tell `publish` of changes from now on, and watch the files; returns what workers are to begin with.

        Raises:
            Invalid: the policy's file is wrong.
            Unavailable: the policy cannot be read.
        """
        async with self._order:
            rules = self._message(await self._current())
            self._publish = publish
            self._watching = asyncio.create_task(self._watch())
        return rules

    async def close(self) -> None:
        """Watch no longer."""
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    async def standing(self) -> Standing:
        """The policy that holds.

        Raises:
            As `start`.
        """
        async with self._order:
            return (await self._current()).standing

    async def check(self, values: Mapping[str, Any]) -> Policy:
        """See whether a document could be applied.

        Raises:
            Invalid: something in it is wrong.
        """
        return (await self._compile(compile_document, values, self._settings.geoip)).policy

    async def apply(
        self, values: Mapping[str, Any], *, author: str, comment: str = "", expected: int | None = None
    ) -> Version:
        """Make a document the policy. The same policy again makes no version.

        Args:
            values: the document.
            author: who does it.
            comment: why.
            expected: the version that it is a change of; another one is a conflict.

        Raises:
            Invalid: something in it is wrong.
            Conflict: the policy is at home in a file, or has been changed meanwhile.
        """
        return await self.amend(lambda _: values, author=author, comment=comment, expected=expected)

    async def amend(
        self,
        change: Callable[[dict[str, Any]], Mapping[str, Any]],
        *,
        author: str,
        comment: str = "",
        expected: int | None = None,
    ) -> Version:
        """Change the document of the policy that holds; otherwise like `apply`. `change` may raise DomainError."""
        _check_line(author, AUTHOR_LIMIT, "author")
        _check_line(comment, COMMENT_LIMIT, "comment")
        async with self._order:
            current = await self._changeable()
            before = current.standing.version
            if expected is not None and expected != before.number:
                raise changed_meanwhile(expected)
            values = change(dump_policy(before.policy))
            compiled = await self._compile(compile_document, values, self._settings.geoip)
            if before.number and digest_of(compiled.policy) == before.digest:
                return before
            return await self._add(current, compiled.policy, compiled.rules, author, comment)

    async def rollback(self, number: int, *, author: str, comment: str = "") -> Version:
        """Make an older version the policy again, which is a new version.

        Raises:
            NotFound: there is no such version.
            Invalid: it names countries, which cannot be told any more.
            Conflict: the policy is at home in a file.
        """
        _check_line(author, AUTHOR_LIMIT, "author")
        _check_line(comment, COMMENT_LIMIT, "comment")
        async with self._order:
            current = await self._changeable()
            policy = (await self._store.get(number)).policy
            compiled = await self._compile(compile_policy, policy, self._settings.geoip)
            return await self._add(current, policy, compiled.rules, author, comment or f"back to version {number}")

    async def history(self, *, page: int, page_size: int) -> tuple[list[Outline], int]:
        """One page of versions, the newest first, and how many there are in all."""
        return await self._store.page(offset=(page - 1) * page_size, limit=page_size)

    async def version(self, number: int | None) -> Version:
        """A version; None: the one that holds.

        Raises:
            NotFound: there is no such version.
        """
        return (await self.standing()).version if number is None else await self._store.get(number)

    async def diff(self, older: Policy, newer: Policy, names: tuple[str, str]) -> str:
        """What changes from one policy to another: a unified diff of their documents; empty: nothing."""
        return await asyncio.to_thread(_diff, older, newer, names)

    async def test(self, attempt: Attempt) -> Trial:
        """What the policy says of an attempt.

        Raises:
            Invalid: the source is no address.
        """
        async with self._order:
            rules = (await self._current()).rules
        return await try_policy(rules, attempt, await self._groups_of_user(attempt.user))

    async def reload(self) -> Standing:
        """Read the policy from its home again, now.

        Raises:
            Invalid: the file is wrong; nothing has changed.
            Unavailable: it cannot be read; nothing has changed.
        """
        return await self.adopt(await self.prepare(self._settings))

    async def prepare(self, settings: PolicySettings) -> Loaded:
        """Read the policy from where these settings say, for `adopt`.

        Raises:
            As `reload`.
        """
        seen = signature(settings)
        if settings.mode == "file":
            assert settings.file is not None
            version, rules = await self._compile(compile_file, settings.file, settings.geoip)
        else:
            version = await self._store.newest()
            rules = (await self._compile(compile_policy, version.policy, settings.geoip)).rules
        file = str(settings.file) if settings.mode == "file" else ""
        return Loaded(settings, seen, Standing(mode=settings.mode, file=file, version=version), rules)

    async def adopt(self, loaded: Loaded) -> Standing:
        """Let this hold from now on."""
        async with self._order:
            if loaded.settings.mode == "database":
                newest = await self._store.newest()
                if newest.number != loaded.standing.version.number:  # somebody changed it meanwhile
                    loaded = await self.prepare(loaded.settings)
            self._settings = loaded.settings
            await self._take(loaded)
        return loaded.standing

    async def _watch(self) -> None:
        """Take over the files whenever they are written or replaced."""
        before = signature(self._settings)
        while True:
            await asyncio.sleep(LOOK)
            now = signature(self._settings)
            if self._loaded is not None and now == before != self._loaded.seen:
                await self._take_over(now)
            before = now

    async def _take_over(self, seen: Signature) -> None:
        log = structlog.get_logger("policy")
        try:
            loaded = await self.prepare(self._settings)
            if signature(self._settings) != loaded.seen:
                return  # somebody is still writing
            await self.adopt(loaded)
        except DomainError as error:
            log.error("the policy stays as it was", reason=error.message, hint=error.hint)
            assert self._loaded is not None
            standing = msgspec.structs.replace(self._loaded.standing, problem=error.message)
            self._loaded = self._loaded._replace(seen=seen, standing=standing)
        else:
            log.info("the policy was read again", rules=sum(1 for _ in loaded.standing.version.policy.rules()))

    async def _compile(
        self, compile: Callable[_Given, _Compiled], *given: _Given.args, **named: _Given.kwargs
    ) -> _Compiled:
        """In a thread: large policies take seconds."""
        with self._tracer.span("policy.compile"):
            return await asyncio.to_thread(compile, *given, **named)

    async def _current(self) -> Loaded:
        if self._loaded is None:
            self._loaded = await self.prepare(self._settings)
        return self._loaded

    async def _changeable(self) -> Loaded:
        if self._settings.mode == "file":
            raise Conflict(
                "policy_in_file",
                f"the policy is at home in {self._settings.file}",
                "change that file: it is watched; or set policy.mode to database",
            )
        return await self._current()

    async def _add(self, current: Loaded, policy: Policy, rules: CompiledPolicy, author: str, comment: str) -> Version:
        after = current.standing.version.number
        version = await self._store.add(after, policy, author=author, comment=comment, now=self._clock())
        standing = msgspec.structs.replace(current.standing, version=version)
        await self._take(current._replace(standing=standing, rules=rules))
        structlog.get_logger("policy").info(
            "the policy was changed", version=version.number, author=author, comment=comment
        )
        return version

    async def _take(self, loaded: Loaded) -> None:
        self._loaded = loaded
        if self._publish is not None:
            await self._publish(self._message(loaded))

    def _message(self, loaded: Loaded) -> Rules:
        self._sent += 1
        return Rules(self._sent, loaded.standing.version.policy, str(loaded.settings.geoip or ""))


def _diff(older: Policy, newer: Policy, names: tuple[str, str]) -> str:
    before, after = (policy_text(policy).splitlines(keepends=True) for policy in (older, newer))
    return "".join(difflib.unified_diff(before, after, *names))


def _check_line(text: str, most: int, what: str) -> None:
    if len(text) > most or any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in text):
        raise Invalid(f"bad_{what}", f"the {what} is not one line of at most {most} characters", "write less")

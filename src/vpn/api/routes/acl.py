"""``/api/acl`` and ``/api/admin/reload-acl``: rules one by one, under the paths of the product that this replaces."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Path, Query, Response

from vpn.api.errors import responses
from vpn.api.schemas.policy import (
    GlobalBody,
    GroupRulesBody,
    NamedGroupRules,
    NamedUserRules,
    ReloadedView,
    RuleList,
    TestRequest,
    TestView,
    UserRulesBody,
    entries_of,
    rule_view,
)
from vpn.domain.errors import Conflict, NotFound
from vpn.domain.policy import GroupRules, Policy, UserRules
from vpn.domain.user import canonical
from vpn.services.policy import PolicyService
from vpn.services.policy_trial import Attempt

AUTHOR = "api"

Name = Annotated[str, Path(max_length=2000, examples=["staff"])]
Kind = Literal["groups", "users"]
Holder = TypeVar("Holder")


def router(policy: PolicyService) -> APIRouter:
    """Rules: all of them, those of a user or a group, and what they say of a request."""
    router = APIRouter(prefix="/api/acl", tags=["acl"])

    @router.get("/rules")
    async def list_rules() -> RuleList:
        """List all rules, with whose they are."""
        held = (await policy.standing()).version.policy
        return RuleList(default_policy=held.default, rules=entries_of(held))

    @router.get("/search")
    async def search_rules(
        q: Annotated[str, Query(max_length=200, description="Part of a name, a description or a destination.")],
    ) -> RuleList:
        """List the rules in which a text occurs."""
        held = (await policy.standing()).version.policy
        wanted = q.lower()
        found = [
            each
            for each in entries_of(held)
            if any(wanted in text.lower() for text in (each.name, each.rule.description, *each.rule.destinations))
        ]
        return RuleList(default_policy=held.default, rules=found)

    @router.post("/test")
    async def test_request(body: TestRequest) -> TestView:
        """Say what the policy says of a request, by which rule, and why."""
        attempt = Attempt(
            user=body.user,
            host=body.destination,
            port=body.port,
            udp=body.protocol == "udp",
            source=body.source,
            at=body.at.timestamp() if body.at else time.time(),
        )
        return TestView.of(await policy.test(attempt))

    @router.get("/global")
    async def show_default() -> GlobalBody:
        """Show what happens to what no rule fits."""
        return GlobalBody(default_policy=(await policy.standing()).version.policy.default)

    @router.put("/global", responses=responses(409))
    async def set_default(body: GlobalBody) -> GlobalBody:
        """Say what happens to what no rule fits."""
        await policy.amend(lambda document: document | {"default": body.default_policy}, author=AUTHOR)
        return body

    _add_groups(router, policy)
    _add_users(router, policy)
    return router


def _add_groups(router: APIRouter, policy: PolicyService) -> None:
    @router.get("/groups")
    async def list_groups() -> list[NamedGroupRules]:
        """List the groups that have rules."""
        held = (await policy.standing()).version.policy
        return [_group(name, each) for name, each in held.groups.items()]

    @router.post("/groups", status_code=201, responses=responses(409))
    async def add_group(body: NamedGroupRules) -> NamedGroupRules:
        """Give rules to a group that has none."""
        held = await _put(policy, "groups", body.name, body.model_dump(exclude={"name"}), new=True)
        return _group(canonical(body.name), held.groups[canonical(body.name)])

    @router.get("/groups/{name}", responses=responses(404))
    async def show_group(name: Name) -> NamedGroupRules:
        """Show the rules of a group."""
        held = (await policy.standing()).version.policy
        return _group(canonical(name), _found(held.groups, "group", name))

    @router.put("/groups/{name}", responses=responses(409))
    async def set_group(name: Name, body: GroupRulesBody) -> NamedGroupRules:
        """Replace the rules of a group."""
        held = await _put(policy, "groups", name, body.model_dump())
        return _group(canonical(name), held.groups[canonical(name)])

    @router.delete("/groups/{name}", status_code=204, responses=responses(404, 409))
    async def remove_group(name: Name) -> Response:
        """Remove the rules of a group."""
        await _remove(policy, "groups", name)
        return Response(status_code=204)


def _add_users(router: APIRouter, policy: PolicyService) -> None:
    @router.get("/users")
    async def list_users() -> list[NamedUserRules]:
        """List the users that the policy names."""
        held = (await policy.standing()).version.policy
        return [_user(name, each) for name, each in held.users.items()]

    @router.post("/users", status_code=201, responses=responses(409))
    async def add_user(body: NamedUserRules) -> NamedUserRules:
        """Give rules to a user whom the policy does not name."""
        held = await _put(policy, "users", body.username, body.model_dump(exclude={"username"}), new=True)
        return _user(canonical(body.username), held.users[canonical(body.username)])

    @router.get("/users/{name}", responses=responses(404))
    async def show_user(name: Name) -> NamedUserRules:
        """Show the rules of a user."""
        held = (await policy.standing()).version.policy
        return _user(canonical(name), _found(held.users, "user", name))

    @router.put("/users/{name}", responses=responses(409))
    async def set_user(name: Name, body: UserRulesBody) -> NamedUserRules:
        """Replace the rules of a user."""
        held = await _put(policy, "users", name, body.model_dump())
        return _user(canonical(name), held.users[canonical(name)])

    @router.delete("/users/{name}", status_code=204, responses=responses(404, 409))
    async def remove_user(name: Name) -> Response:
        """Remove the rules of a user."""
        await _remove(policy, "users", name)
        return Response(status_code=204)


def admin_router(policy: PolicyService) -> APIRouter:
    """Reading the rules again."""
    router = APIRouter(prefix="/api/admin", tags=["acl"])

    @router.post("/reload-acl", responses=responses(503))
    async def reload_rules() -> ReloadedView:
        """Read the policy from its home again. Sessions that it forbids are closed, the others go on."""
        standing = await policy.reload()
        count = sum(1 for _ in standing.version.policy.rules())
        home = standing.file or "the database"
        return ReloadedView(message=f"the policy was read from {home}", rules=count)

    return router


async def _put(policy: PolicyService, kind: Kind, name: str, content: dict[str, Any], *, new: bool = False) -> Policy:
    def put(document: dict[str, Any]) -> dict[str, Any]:
        if new and canonical(name) in document[kind]:
            raise Conflict("rules_exist", f"the policy has {kind}.{canonical(name)} already", "replace it with PUT")
        document[kind][canonical(name)] = content
        return document

    return (await policy.amend(put, author=AUTHOR)).policy


async def _remove(policy: PolicyService, kind: Kind, name: str) -> None:
    def remove(document: dict[str, Any]) -> dict[str, Any]:
        _found(document[kind], kind[:-1], name)
        del document[kind][canonical(name)]
        return document

    await policy.amend(remove, author=AUTHOR)


def _found(among: Mapping[str, Holder], what: str, name: str) -> Holder:
    found = among.get(canonical(name))
    if found is None:
        raise NotFound("no_rules", f"the policy names no {what} {name}", "see it with: vpn policy show")
    return found


def _group(name: str, group: GroupRules) -> NamedGroupRules:
    return NamedGroupRules(name=name, rules=[rule_view(rule) for rule in group.rules])


def _user(name: str, user: UserRules) -> NamedUserRules:
    return NamedUserRules(username=name, groups=list(user.groups), rules=[rule_view(rule) for rule in user.rules])

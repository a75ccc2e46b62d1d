"""The policy, as the API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from vpn.domain.policy import Policy, Rule, name_of
from vpn.domain.policy_document import dump_policy
from vpn.domain.policy_text import policy_text
from vpn.services.policy import Standing
from vpn.services.policy_trial import Trial
from vpn.store.policies import Outline, Version

# The domain decides what is allowed, in words for a person. Here it is only documented, and nonsense kept away.
Text = Annotated[str, Field(max_length=2000)]
Texts = Annotated[list[Text], Field(max_length=1000)]
Action = Literal["allow", "block"]
_DOCUMENT: dict[str, Any] = {
    "default": "block",
    "groups": {"staff": {"rules": [{"action": "allow", "destinations": [".example.com"], "ports": ["443"]}]}},
    "users": {"alice": {"groups": ["staff"]}},
}


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class RuleFields(_Request):
    """A rule; what is left out does not matter to it."""

    action: Action
    description: Text = ""
    destinations: Texts = Field(["*"], examples=[[".example.com", "10.0.0.0/8", "country:DE"]])
    ports: Texts = Field(["*"], examples=[["443", "8000-9000"]])
    protocols: list[Literal["tcp", "udp", "both"]] = Field(["tcp", "udp"], max_length=3)
    sources: Texts = Field([], description="Networks that the client comes from.", examples=[["192.0.2.0/24"]])
    hours: Texts = Field([], description="When it holds.", examples=[["mon-fri 08:00-18:00"]])
    timezone: Text = Field("UTC", description="The time zone of `hours`.")
    priority: int = Field(0, description="Among rules of the same action the higher one decides.")
    enabled: bool = True


class GroupRulesBody(_Request):
    """What the policy says of a group."""

    rules: list[RuleFields] = Field([], max_length=20_000)


class UserRulesBody(GroupRulesBody):
    """What the policy says of a user."""

    groups: Texts = Field([], description="Groups besides those that the user is in anyway.")


class NamedGroupRules(GroupRulesBody):
    """A group, and what the policy says of it."""

    name: Text


class NamedUserRules(UserRulesBody):
    """A user, and what the policy says of it."""

    username: Text


class GlobalBody(_Request):
    """What happens to what no rule fits."""

    default_policy: Action


class RuleEntry(BaseModel):
    """A rule, with whose it is."""

    name: str = Field(examples=["groups.staff.rules.0"])
    kind: Literal["users", "groups"]
    whose: str = Field(examples=["staff"])
    number: int = Field(description="The place among the rules of that user or group, from 0 on.")
    rule: RuleFields


class RuleList(BaseModel):
    """All rules, and what happens to what none of them fits."""

    default_policy: Action
    rules: list[RuleEntry]


class TestRequest(_Request):
    """A request to decide."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"user": "alice", "destination": "example.com", "port": 443}]},
    )
    user: Text
    destination: Text = Field(description="A name or an address.")
    port: int = Field(ge=0, le=65535)
    protocol: Literal["tcp", "udp"] = "tcp"
    source: Text = Field("127.0.0.1", description="The address that the client comes from.")
    at: datetime | None = Field(None, description="When; left out, now.")


class JudgedView(BaseModel):
    """One address of the destination, and what is said of it."""

    address: str
    decision: Action
    matched_rule: str | None


class TestView(BaseModel):
    """A decision, and why."""

    decision: Action
    matched_rule: str | None = Field(description="The rule that decides; null: none does, but the default.")
    why: str = Field(examples=["groups.staff.rules.0 blocks it: no torrents"])
    rule: RuleFields | None
    known_user: bool = Field(description="Whether there is such a user.")
    groups: list[str] = Field(description="All whose rules count, nearest first.")
    addresses: list[JudgedView] = Field(description="The addresses that had to be looked at.")
    resolved: bool = Field(description="False: it depends on the addresses of the name, and it has none.")
    special: str = Field(
        description="What makes it no public destination, e.g. loopback: then it is refused, whatever the policy says, "
        "unless proxy.private_destinations is allow. Empty: nothing."
    )

    @classmethod
    def of(cls, trial: Trial) -> TestView:
        """The view of a trial."""
        decision = trial.decision
        return cls(
            decision="allow" if decision.allowed else "block",
            matched_rule=decision.name if decision.rule else None,
            why=decision.why,
            rule=rule_view(decision.rule) if decision.rule else None,
            known_user=trial.known,
            groups=list(trial.groups),
            addresses=[
                JudgedView(
                    address=each.address,
                    decision="allow" if each.decision.allowed else "block",
                    matched_rule=each.decision.name if each.decision.rule else None,
                )
                for each in trial.judged
            ],
            resolved=trial.resolved,
            special=trial.special,
        )


class VersionView(BaseModel):
    """A version of the policy, without its rules."""

    number: int = Field(description="Counted from 1; 0: the policy is in a file, or nobody ever made one.")
    created_at: datetime
    author: str
    comment: str
    digest: str = Field(description="By which equal policies are told.")

    @classmethod
    def of(cls, version: Outline) -> VersionView:
        """The view of a version."""
        return cls(**{name: getattr(version, name) for name in Outline.__struct_fields__})


class VersionPage(BaseModel):
    """One page of versions, the newest first."""

    data: list[VersionView]
    total: int
    page: int
    page_size: int
    total_pages: int


class PolicyView(VersionView):
    """A version of the policy."""

    rules: int = Field(description="How many there are.")
    document: dict[str, Any] = Field(examples=[_DOCUMENT])
    text: str = Field(description="The same in YAML.")

    @classmethod
    def whole(cls, version: Version) -> PolicyView:
        """The view of a version with its rules."""
        return cls(**_whole(version))


class StandingView(PolicyView):
    """The policy that holds."""

    mode: Literal["database", "file"]
    file: str = Field(description="Its home, where that is a file.")
    problem: str = Field(description="Why the file is not what holds: it is wrong since it was last changed.")

    @classmethod
    def standing(cls, standing: Standing) -> StandingView:
        """The view of what holds."""
        return cls(mode=standing.mode, file=standing.file, problem=standing.problem, **_whole(standing.version))


class DocumentBody(_Request):
    """A policy."""

    document: dict[str, Any] = Field(examples=[_DOCUMENT], description="In our form, or in that of RustSocks.")


class Application(DocumentBody):
    """A policy that is to hold."""

    author: Text = Field("api", description="Who does it, at most 64 characters.")
    comment: Text = Field("", description="Why, at most 500 characters.")
    expected_version: int | None = Field(None, description="The version it is a change of; another one is a conflict.")


class Rollback(_Request):
    """An older version that is to hold again."""

    number: int = Field(ge=0, le=2**31 - 1)
    author: Text = Field("api", description="Who does it, at most 64 characters.")
    comment: Text = Field("", description="Why, at most 500 characters.")


class CheckView(BaseModel):
    """A policy that could hold."""

    rules: int = Field(description="How many there are.")
    text: str = Field(description="The policy in YAML.")


class DiffView(BaseModel):
    """What changes from one policy to another."""

    text: str = Field(description="A unified diff; empty: nothing changes.")


class ReloadedView(BaseModel):
    """The policy was read again."""

    success: bool = True
    message: str
    rules: int


def rule_view(rule: Rule) -> RuleFields:
    """The view of a rule."""
    return RuleFields(**msgspec.to_builtins(rule))


def entries_of(policy: Policy) -> list[RuleEntry]:
    """The views of all rules."""
    return [
        RuleEntry(
            name=name_of(kind, whose, number),
            kind="users" if kind == "users" else "groups",
            whose=whose,
            number=number,
            rule=rule_view(rule),
        )
        for kind, whose, number, rule in policy.rules()
    ]


def _whole(version: Version) -> dict[str, Any]:
    return {name: getattr(version, name) for name in Outline.__struct_fields__} | {
        "rules": sum(1 for _ in version.policy.rules()),
        "document": dump_policy(version.policy),
        "text": policy_text(version.policy),
    }

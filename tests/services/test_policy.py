import pytest
from structlog.testing import capture_logs

from tests.services.conftest import groups_of_user
from tests.support.geoip import write_mmdb
from tests.support.supervised import until
from vpn.domain.errors import Conflict, Invalid, NotFound, Unavailable
from vpn.domain.policy import ALLOW_ALL
from vpn.services import policy as policy_module
from vpn.services.policy import PolicyService
from vpn.services.policy_trial import Attempt
from vpn.settings.policy import PolicySettings
from vpn.store.policies import PolicyStore

pytestmark = pytest.mark.anyio
BLOCK = {"default": "allow", "groups": {"Staff": {"rules": [{"action": "block", "destinations": ["a.test"]}]}}}


class Workers:
    """What workers are told."""

    def __init__(self):
        self.told = []

    async def tell(self, rules):
        self.told.append(rules)


@pytest.fixture
async def workers(policy):
    workers = Workers()
    await policy.start(workers.tell)
    yield workers
    await policy.close()


@pytest.fixture
def in_file(database, clock, tmp_path):
    path = tmp_path / "policy.yaml"
    path.write_text("default: block\n")
    return PolicyService(PolicyStore(database), PolicySettings(mode="file", file=path), groups_of_user, clock)


@pytest.fixture
async def watched(in_file):
    workers = Workers()
    await in_file.start(workers.tell)
    yield workers
    await in_file.close()


async def test_until_somebody_says_something_everything_is_allowed(policy):
    standing = await policy.standing()
    assert (standing.mode, standing.version.number, standing.version.policy) == ("database", 0, ALLOW_ALL)


async def test_workers_begin_with_what_holds(policy):
    await policy.apply(BLOCK, author="me")
    rules = await policy.start(Workers().tell)
    assert (rules.policy, rules.geoip) == ((await policy.standing()).version.policy, "")
    await policy.close()


async def test_a_change_is_a_version_and_told_to_the_workers(policy, workers, clock):
    version = await policy.apply(BLOCK, author="me", comment="bees")
    assert (version.number, version.author, version.comment, version.created_at) == (1, "me", "bees", clock.now)
    assert [rules.policy for rules in workers.told] == [version.policy]
    assert (await policy.standing()).version == version


async def test_the_same_again_is_no_version(policy, workers):
    first = await policy.apply(BLOCK, author="me")
    assert await policy.apply(BLOCK, author="you") == first
    assert len(workers.told) == 1


async def test_what_is_wrong_changes_nothing(policy, workers):
    with pytest.raises(Invalid, match=r"groups.staff.rules.0.ports"):
        await policy.apply({"groups": {"staff": {"rules": [{"action": "allow", "ports": "x"}]}}}, author="me")
    with pytest.raises(Invalid, match="comment"):
        await policy.apply(BLOCK, author="me", comment="two\nlines")
    assert (await policy.standing()).version.number == 0
    assert workers.told == []


async def test_who_changes_what_is_not_there_any_more_is_told(policy):
    await policy.apply(BLOCK, author="me", expected=0)
    with pytest.raises(Conflict):
        await policy.apply({"default": "allow"}, author="you", expected=0)
    assert (await policy.standing()).version.author == "me"


async def test_going_back_makes_a_new_version(policy, workers):
    first = await policy.apply(BLOCK, author="me")
    await policy.apply({"default": "block"}, author="me")
    third = await policy.rollback(1, author="you")
    assert (third.number, third.policy, third.comment) == (3, first.policy, "back to version 1")
    assert workers.told[-1].policy == first.policy
    outlines, total = await policy.history(page=1, page_size=2)
    assert ([each.number for each in outlines], total) == ([3, 2], 3)
    with pytest.raises(NotFound):
        await policy.rollback(9, author="you")
    assert (await policy.rollback(0, author="you")).policy == ALLOW_ALL


async def test_differences(policy):
    await policy.apply(BLOCK, author="me")
    older, newer = (await policy.version(0)).policy, (await policy.version(None)).policy
    text = await policy.diff(older, newer, ("version 0", "version 1"))
    assert text.startswith("--- version 0\n+++ version 1\n")
    assert "+      - action: block\n" in text
    assert await policy.diff(newer, newer, ("a", "b")) == ""


async def test_a_test_counts_the_groups_of_store_and_document(policy, clock):
    await policy.apply(BLOCK | {"users": {"bob": {"groups": ["staff"]}}}, author="me")

    async def tested(user):
        return await policy.test(Attempt(user=user, host="A.test.", port=443, at=clock.now.timestamp()))

    trial = await tested("alice")
    assert (trial.decision.allowed, trial.decision.name, trial.known) == (False, "groups.staff.rules.0", True)
    assert trial.groups == ("staff", "everyone")
    assert not (await tested("bob")).decision.allowed
    carol = await tested("carol")
    assert (carol.decision.allowed, carol.known, carol.groups) == (True, False, ("everyone",))


async def test_the_file_holds_and_cannot_be_changed_here(in_file):
    standing = await in_file.standing()
    assert (standing.mode, standing.version.policy.default) == ("file", "block")
    for change in (in_file.apply(BLOCK, author="me"), in_file.rollback(0, author="me")):
        with pytest.raises(Conflict) as caught:
            await change
        assert "policy.yaml" in caught.value.message


async def test_a_file_that_is_written_or_replaced_is_taken_over(watched, tmp_path):
    (tmp_path / "policy.yaml").write_text("default: allow\n")
    await until(lambda: len(watched.told) == 1)
    assert watched.told[0].policy == ALLOW_ALL
    (tmp_path / "new").write_text("default: block\n")
    (tmp_path / "new").rename(tmp_path / "policy.yaml")
    await until(lambda: len(watched.told) == 2)
    assert watched.told[1].policy.default == "block"
    assert watched.told[1].version > watched.told[0].version


async def test_a_bad_file_changes_nothing_and_says_where_it_is_wrong(watched, in_file, tmp_path):
    path = tmp_path / "policy.yaml"
    for content, place in (
        ("default: allow\ngroups:\n  a b: {}\n", ":3: "),
        ("", ": the file is empty"),
        ("a: [", ":1"),
    ):
        with capture_logs() as lines:
            path.write_text(content)
            await until(lambda: lines)
        assert f"{path}{place}" in lines[0]["reason"]
        standing = await in_file.standing()
        assert f"{path}{place}" in standing.problem
        assert standing.version.policy.default == "block"
    path.unlink()
    await until(lambda: "No such file" in in_file._loaded.standing.problem)
    assert watched.told == []
    path.write_text("default: allow\n")
    await until(lambda: watched.told)
    assert (await in_file.standing()).problem == ""


async def test_a_file_that_is_being_written_is_waited_for(watched, tmp_path, monkeypatch):
    path = tmp_path / "policy.yaml"
    asked = []
    whole = policy_module.compile_file

    def slow(*arguments):
        asked.append(path.read_text())
        if len(asked) == 1:
            path.write_text("default: allow\nusers: {}\n")  # the rest of it comes while the first half is read
        return whole(*arguments)

    monkeypatch.setattr(policy_module, "compile_file", slow)
    path.write_text("default: allow\n")
    await until(lambda: watched.told)
    assert asked == ["default: allow\n", "default: allow\nusers: {}\n"]


async def test_reloading_reads_at_once_and_says_what_is_wrong(in_file, tmp_path):
    await in_file.standing()
    (tmp_path / "policy.yaml").write_text("default: allow\n")
    assert (await in_file.reload()).version.policy == ALLOW_ALL
    (tmp_path / "policy.yaml").write_text("defautl: allow\n")
    with pytest.raises(Invalid, match=r"policy.yaml:1: defautl"):
        await in_file.reload()
    assert (await in_file.standing()).version.policy == ALLOW_ALL


async def test_another_home_is_moved_to_by_the_settings(policy, workers, tmp_path):
    path = tmp_path / "policy.toml"
    path.write_text('default = "block"\n')
    await policy.adopt(await policy.prepare(PolicySettings(mode="file", file=path)))
    assert workers.told[-1].policy.default == "block"
    assert (await policy.standing()).file == str(path)


async def test_a_version_that_comes_while_settings_are_read_is_not_lost(policy):
    loaded = await policy.prepare(PolicySettings())
    await policy.apply(BLOCK, author="me")
    assert (await policy.adopt(loaded)).version.number == 1


async def test_countries(database, clock, tmp_path):
    path = write_mmdb(tmp_path / "c.mmdb", {"192.0.2.0/24": {"country_code": "DE"}})
    policy = PolicyService(PolicyStore(database), PolicySettings(geoip=path), groups_of_user, clock)
    workers = Workers()
    await policy.start(workers.tell)
    await policy.apply(
        {"groups": {"everyone": {"rules": [{"action": "allow", "destinations": "country:DE"}]}}}, author=""
    )
    attempt = Attempt(user="x", host="192.0.2.1", port=443, at=0)
    assert workers.told[0].geoip == str(path)
    assert (await policy.test(attempt)).decision.allowed
    write_mmdb(tmp_path / "new", {"192.0.2.0/24": {"country_code": "FR"}}).rename(path)
    await until(lambda: len(workers.told) == 2)
    await policy.close()
    assert not (await policy.test(attempt)).decision.allowed
    with pytest.raises(Unavailable):
        await policy.prepare(PolicySettings(geoip=tmp_path / "none.mmdb"))
    with pytest.raises(Invalid):
        await policy.prepare(PolicySettings())

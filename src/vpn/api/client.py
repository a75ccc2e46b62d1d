"""The API from outside. The command line and the terminal UI import this and nothing below it.

Nothing heavy is imported here: a command must be done before its user has noticed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

from vpn.api.requester import (
    MOST_SILENT,
    PAGE,
    TIMEOUT,
    APIError,
    Requester,
    Stream,
    Transport,
    Unreachable,
    parse_events,
    query_of,
)

__all__ = ["MOST_SILENT", "PAGE", "TIMEOUT", "APIError", "Client", "Stream", "Transport", "Unreachable", "parse_events"]

PATIENCE = 330.0  # seconds for one that hashes thousands of passwords
EXPORTED = 20_000  # sessions fetched at a time, to be written somewhere

_OUTLINE = "/api/outline"
_POLICY = "/api/policy"
_SESSIONS = "/api/sessions"


class Client(Requester):
    """The API's operations."""

    def status(self) -> dict[str, Any]:
        """The daemon's state."""
        return self._request("GET", "/api/status")

    def reload(self) -> dict[str, Any]:
        """Let the daemon read its settings again."""
        return self._request("POST", "/api/reload")

    def monitoring_files(self) -> dict[str, str]:
        """What Prometheus and Grafana work from: the text of each file, by its path."""
        files: dict[str, str] = self._request("GET", "/api/monitoring/files")["files"]
        return files

    def users(self, **where: Any) -> Iterator[dict[str, Any]]:
        """The users meant, by name; `where` is of search, group and enabled."""
        return self._pages("/api/users", where)

    def user(self, name: str) -> dict[str, Any]:
        """One user."""
        return self._request("GET", _user(name))

    def add_user(self, name: str, password: str | None, fields: dict[str, Any]) -> dict[str, Any]:
        """Add a user; the answer holds password and links."""
        new = {"name": name} | fields
        return self._request("POST", "/api/users", new | ({} if password is None else {"password": password}))

    def change_user(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change fields of a user."""
        return self._request("PATCH", _user(name), changes)

    def change_users(self, where: dict[str, Any], changes: dict[str, Any], *, dry_run: bool) -> list[str]:
        """Change fields of many users, or find out of whom it would be; returns their names."""
        names: list[str] = self._request(
            "PATCH", "/api/users", {"where": where, "changes": changes, "dry_run": dry_run}
        )["names"]
        return names

    def remove_user(self, name: str) -> None:
        """Remove a user."""
        self._request("DELETE", _user(name))

    def set_password(self, name: str, password: str | None) -> dict[str, Any]:
        """Give a user another password; the answer holds it, and the links."""
        return self._request("POST", f"{_user(name)}/password", {} if password is None else {"password": password})

    def user_links(self, name: str, *, inbound: str = "", format: str = "") -> dict[str, Any]:
        """A user's links; with a format, as a document, too."""
        return self._request("GET", f"{_user(name)}/links?{query_of({'inbound': inbound, 'format': format})}")

    def renew_user_links(self, name: str) -> dict[str, Any]:
        """Give a user another key; the answer holds the links."""
        return self._request("POST", f"{_user(name)}/links/renew")

    def subscription(self, name: str) -> dict[str, Any]:
        """A user's subscription."""
        return self._request("GET", f"{_user(name)}/subscription")

    def revoke_subscription(self, name: str) -> dict[str, Any]:
        """Give a user another subscription URL."""
        return self._request("POST", f"{_user(name)}/subscription/revoke")

    def policy(self) -> dict[str, Any]:
        """The policy that holds."""
        return self._request("GET", _POLICY)

    def apply_policy(
        self, document: dict[str, Any], *, author: str, comment: str = "", expected: int | None = None
    ) -> dict[str, Any]:
        """Make a document the policy; `expected` is the version that it is a change of."""
        about = {"author": author, "comment": comment, "expected_version": expected}
        return self._request("PUT", _POLICY, {"document": document} | about)

    def compare_policy(self, document: dict[str, Any]) -> str:
        """What a document would change."""
        return str(self._request("POST", f"{_POLICY}/diff", {"document": document})["text"])

    def compare_policies(self, older: int, newer: int | None = None) -> str:
        """What changed between two versions of the policy; None: the one that holds."""
        query = {"older": older} | ({} if newer is None else {"newer": newer})
        return str(self._request("GET", f"{_POLICY}/diff?{urlencode(query)}")["text"])

    def policy_versions(self) -> Iterator[dict[str, Any]]:
        """All versions of the policy, the newest first, fetched page by page."""
        return self._pages(f"{_POLICY}/history", {})

    def roll_back_policy(self, number: int, *, author: str, comment: str = "") -> dict[str, Any]:
        """Make an older version the policy again."""
        return self._request("POST", f"{_POLICY}/rollback", {"number": number, "author": author, "comment": comment})

    def test_policy(self, attempt: dict[str, Any]) -> dict[str, Any]:
        """What the policy says of a request."""
        return self._request("POST", "/api/acl/test", attempt)

    def bans(self) -> Iterator[dict[str, Any]]:
        """All bans, the newest first, fetched page by page."""
        return self._pages("/api/bans", {})

    def add_ban(self, subject: str, kind: str | None, duration: str, reason: str) -> dict[str, Any]:
        """Ban an address or a user; `kind` is ``source``, ``user``, or None: as it looks."""
        return self._request(
            "POST", "/api/bans", {"subject": subject, "kind": kind, "duration": duration, "reason": reason}
        )

    def remove_ban(self, subject: str, kind: str | None) -> None:
        """Lift a ban."""
        query = f"?kind={kind}" if kind else ""
        self._request("DELETE", f"/api/bans/{quote(subject, safe='')}{query}")

    def remove_bans(self) -> dict[str, Any]:
        """Lift all bans; the answer holds how many."""
        return self._request("DELETE", "/api/bans")

    def parse_links(self, links: list[str]) -> list[dict[str, Any]]:
        """What is in links, or in WireGuard configurations."""
        parsed: list[dict[str, Any]] = self._request("POST", "/api/links/parse", {"links": links})["data"]
        return parsed

    def draw_qr_code(self, text: str, picture: str) -> bytes:
        """A QR code; `picture` is ``terminal``, ``svg`` or ``png``."""
        return self._content("POST", "/api/links/qr", {"text": text, "picture": picture})

    def outline(self) -> dict[str, Any]:
        """How the Outline API is served."""
        return self._request("GET", _OUTLINE)

    def enable_outline(self, wish: dict[str, Any]) -> dict[str, Any]:
        """Serve the Outline API; `wish` is of listen, inbound, port and method."""
        return self._request("PUT", _OUTLINE, wish)

    def disable_outline(self) -> None:
        """Serve the Outline API no longer."""
        self._request("DELETE", _OUTLINE)

    def rotate_outline(self) -> dict[str, Any]:
        """Serve the Outline API below another secret path."""
        return self._request("POST", f"{_OUTLINE}/rotate")

    def usage(self, name: str, days: int) -> dict[str, Any]:
        """What a user has used."""
        return self._request("GET", f"{_user(name)}/usage?days={days}")

    def reset_usage(self, name: str) -> dict[str, Any]:
        """Count a user's present period from nothing."""
        return self._request("POST", f"{_user(name)}/usage/reset")

    def overview(self, most: int, order: str) -> dict[str, Any]:
        """All at a glance, with so many users and destinations in this order."""
        return self._request("GET", f"/api/overview?{urlencode({'most': most, 'order': order})}")

    def live_sessions(self, **where: Any) -> list[dict[str, Any]]:
        """The live sessions meant; `where` is of the filters and the order of the API."""
        query = query_of(where)
        sessions: list[dict[str, Any]] = self._call(list, "GET", f"/api/sessions/active?{query}")
        return sessions

    def follow_sessions(self, **where: Any) -> Iterator[dict[str, Any]]:
        """What is new about the live sessions meant, once a second, until the daemon stops."""
        return self.follow(f"/api/events?{query_of({'topics': 'sessions'} | where)}")

    def terminate_session(self, id: str) -> dict[str, Any]:
        """Close a live session."""
        return self._request("POST", f"/api/sessions/{quote(id, safe='')}/terminate")

    def terminate_sessions(self, *, user: str = "", destination: str = "") -> dict[str, Any]:
        """Close the live sessions of a user, to a destination; the answer holds how many."""
        return self._request("POST", "/api/sessions/terminate", {"user": user, "destination": destination})

    def sessions(self, limit: int, **where: Any) -> Iterator[dict[str, Any]]:
        """So many sessions, live and past, fetched page by page; `where` is of the API's filters and its order."""
        cursor = ""
        while limit > 0:
            query = query_of(where | {"page_size": min(limit, PAGE), "cursor": cursor})
            page = self._request("GET", f"{_SESSIONS}/history?{query}")
            yield from page["data"]
            limit, cursor = limit - len(page["data"]), page["next_cursor"]
            if not cursor:
                return

    def session(self, number: str) -> dict[str, Any]:
        """One session, live or past."""
        return self._request("GET", f"{_SESSIONS}/{quote(number, safe='')}")

    def export_sessions(self, **where: Any) -> Iterator[dict[str, Any]]:
        """All sessions, the newest first, fetched some thousands at a time; `where` is of the API's filters."""
        after, lines = "", [b""]
        while lines:
            query = query_of(where | {"format": "jsonl", "limit": EXPORTED, "after": after})
            lines = self._content("GET", f"{_SESSIONS}/export?{query}").splitlines()
            for line in lines:
                session = json.loads(line)
                yield session
                after = session["id"]
            if len(lines) < EXPORTED:
                return

    def session_stats(self, where: dict[str, Any]) -> dict[str, Any]:
        """What all sessions of a range come to; `where` is of since, from, to, hours and top."""
        return self._request("GET", f"/api/sessions/stats?{query_of(where)}")

    def traffic(self, where: dict[str, Any]) -> dict[str, Any]:
        """Sessions and bytes over the time; `where` is of since, from, to, by, user, destination and inbound."""
        return self._request("GET", f"/api/stats/traffic?{query_of(where)}")

    def ranking(self, what: str, where: dict[str, Any]) -> dict[str, Any]:
        """The first of users, destinations, inbounds, protocols or reasons.

        `where` is of since, from, to, limit and sort.
        """
        return self._request("GET", f"/api/stats/{what}?{query_of(where)}")

    def groups(self, search: str = "") -> Iterator[dict[str, Any]]:
        """All groups by name."""
        return self._pages("/api/groups", {"search": search})

    def group(self, name: str) -> dict[str, Any]:
        """One group."""
        return self._request("GET", _group(name))

    def add_group(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Add a group."""
        return self._request("POST", "/api/groups", {"name": name} | fields)

    def change_group(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change fields of a group."""
        return self._request("PATCH", _group(name), changes)

    def remove_group(self, name: str, *, force: bool) -> None:
        """Remove a group; with `force`, also if users are in it."""
        self._request("DELETE", _group(name) + ("?force=true" if force else ""))

    def inbounds(self) -> list[dict[str, Any]]:
        """All inbounds: those of the settings, and then those that are managed."""
        found: list[dict[str, Any]] = self._request("GET", "/api/inbounds")["data"]
        return found

    def inbound(self, name: str) -> dict[str, Any]:
        """One inbound."""
        return self._request("GET", _inbound(name))

    def add_inbound(self, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Add an inbound; `fields` are those of the settings, and its key."""
        return self._request("POST", "/api/inbounds", {"name": name} | fields)

    def change_inbound(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change fields of an inbound; None: back to the default."""
        return self._request("PATCH", _inbound(name), changes)

    def remove_inbound(self, name: str) -> None:
        """Remove an inbound."""
        self._request("DELETE", _inbound(name))

    def import_users(self, rows: list[dict[str, Any]], on_conflict: str, *, dry_run: bool) -> dict[str, Any]:
        """Add the users of all rows, or of none. Takes long where many passwords are to be hashed."""
        return self._request("POST", "/api/roster", {"rows": rows, "on_conflict": on_conflict, "dry_run": dry_run})

    def export_users(self, group: str, *, with_hashes: bool) -> list[dict[str, Any]]:
        """Users as rows, by name."""
        query = urlencode({"group": group, "with_hashes": str(with_hashes).lower()})
        rows: list[dict[str, Any]] = self._request("GET", f"/api/roster?{query}")["rows"]
        return rows

    def log_lines(self, limit: int, **where: Any) -> list[dict[str, Any]]:
        """The newest lines of the log, the oldest first; `where` is of level, area, user, text and after."""
        lines: list[dict[str, Any]] = self._request("GET", f"/api/logs?{query_of(where | {'limit': limit})}")["data"]
        return lines

    def follow_log(self, limit: int, **where: Any) -> Iterator[dict[str, Any]]:
        """Lines of the log as they come, with so many from before, as `follow` gives them."""
        return self.follow(f"/api/logs/stream?{query_of(where | {'limit': limit})}")


def _group(name: str) -> str:
    return f"/api/groups/{quote(name, safe='')}"


def _user(name: str) -> str:
    return f"/api/users/{quote(name, safe='')}"


def _inbound(name: str) -> str:
    return f"/api/inbounds/{quote(name, safe='')}"

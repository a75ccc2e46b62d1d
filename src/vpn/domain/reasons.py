"""Why sessions end, or are refused: every code that `Session.reason` may have, and what it means."""

from __future__ import annotations

from typing import NamedTuple

from vpn.domain.session import Status


class Reason(NamedTuple):
    """What a code means."""

    statuses: tuple[Status, ...]
    """Of sessions that have it."""
    meaning: str
    """One sentence for people, without a full stop."""


_CLOSED: tuple[Status, ...] = ("closed",)
_FAILED: tuple[Status, ...] = ("failed",)
_EITHER: tuple[Status, ...] = ("closed", "failed")
_REJECTED: tuple[Status, ...] = ("rejected_by_acl",)
_CUT_OR_REJECTED: tuple[Status, ...] = ("closed", "rejected_by_acl")


def _rows(statuses: tuple[Status, ...], **meanings: str) -> dict[str, Reason]:
    return {code: Reason(statuses, meaning) for code, meaning in meanings.items()}


_ENDS = {
    **_rows(
        _CLOSED,
        eof="Both sides were done",
        inbound_removed="The inbound that the client came by was taken away",
        user_removed="The user was removed",
        key_changed="The user was given another key",
        terminated="An operator ended it",
        shutdown="The daemon was stopped",
        daemon_died="The daemon died, or was killed",
        worker_died="The worker process died, or was killed",
    ),
    **_rows(
        _EITHER,
        idle_timeout="Nothing was moved for too long",
        reset="One side broke the connection off, or could not be reached any more",
        client_gone="The client's connection broke",
        client_closed="The client closed its connection in the middle of a handshake or a request",
    ),
}
_CLIENTS = _rows(
    _FAILED,
    handshake_timeout="The client did not say in time what it wants",
    unknown_protocol="The client's first byte is of no protocol that the inbound speaks",
    bad_version="The client speaks another version of SOCKS than its first byte said",
    no_acceptable_method="The client offers no way to log in that we take",
    bad_auth_version="The client logs in by another version of RFC 1929",
    authentication_required="SOCKS4 knows no passwords, and the client may not come without one",
    authentication_failed="The name or the password is wrong, or the user is disabled",
    user_banned="The user is banned, coming from this address",
    source_banned="The address that the client comes from is banned",
    too_many_connections="The inbound, or all of them together, has as many clients as it may have",
    unknown_command="The client asks for something else than CONNECT, BIND or UDP ASSOCIATE",
    unknown_address_type="The destination is written in a way that SOCKS5 does not know",
    bad_name="The destination's name is no text",
    bad_port="The destination's port is 0",
    bad_request="The request is not what RFC 1928 says",
    bad_proxy_header="What should be a load balancer's header is none",
    tls_handshake_failed="The client and the inbound did not come to terms in TLS",
    no_certificate="The inbound's certificate cannot be read just now",
    start_line_too_long="The first line of an HTTP request is too long",
    bad_start_line="The first line of an HTTP request is none",
    head_too_large="The head of an HTTP message is too long",
    bad_header="A header field of an HTTP message is none",
    bad_target="The destination in an HTTP request is none",
    bad_content_length="The length of an HTTP message is no number, or two different ones",
    ambiguous_length="An HTTP request has a length and comes in chunks, too",
    unexpected_content="An HTTP request has a body that it may not have",
    unknown_coding="An HTTP message is coded in a way that nobody here knows",
    bad_chunk="A chunk of an HTTP message is none",
    truncated="An HTTP message ended before it was complete",
    too_many_interim_responses="The destination says again and again that it will answer later",
    unexpected_upgrade="The destination wants to speak a protocol that the client has not asked for",
    bad_status_line="What should be an HTTP response is none",
    no_response="The destination closed the connection instead of answering an HTTP request",
    replayed="What the client of Shadowsocks sent was sent before, perhaps by somebody else",
    clock_skew="The client's clock, or ours, is wrong by more than thirty seconds; or it was sent long ago",
    bad_sealed_header="What the client of Shadowsocks begins with is not what SIP022 says, though its key is right",
    broken_chunk="What the client of Shadowsocks sent was changed on its way, or is not what SIP004 or SIP022 says",
)
_DESTINATIONS = {
    **_rows(
        _FAILED,
        name_not_found="The destination's name has no address",
        connection_refused="Nobody listens at the destination",
        network_unreachable="There is no way to the destination's network",
        host_unreachable="The destination cannot be reached",
        timed_out="The destination did not answer in time",
        failed="The destination was not reached, and there is no telling why",
        out_of_descriptors="There were no open files left for the client",
        no_udp_socket="There was no socket for an association",
        no_descriptors="There were no open files left for a BIND",
        cannot_listen="There was no port for a BIND",
        peer_gone="The peer that a BIND waited for came, and was gone again",
    ),
    **_rows(
        _FAILED,
        upstream_unreachable="The upstream proxy cannot be reached",
        upstream_timed_out="The upstream proxy did not answer in time",
        upstream_gone="The upstream proxy closed the connection",
        upstream_stalled="The upstream proxy does not read what it is told",
        upstream_bad_reply="The upstream proxy does not speak its protocol",
        upstream_authentication_failed="The upstream proxy does not take our name and password",
        upstream_tls_failed="The upstream proxy's certificate is not good, or it does not speak TLS",
        upstream_removed="The upstream proxy was taken out of the settings meanwhile",
        name_not_found_by_upstream="The upstream proxy finds no address of the destination's name",
        connection_refused_by_upstream="The upstream proxy says that nobody listens at the destination",
        network_unreachable_by_upstream="The upstream proxy has no way to the destination's network",
        host_unreachable_by_upstream="The upstream proxy cannot reach the destination",
        timed_out_by_upstream="The upstream proxy says that the destination did not answer in time",
        not_allowed_by_upstream="The upstream proxy does not let us go there",
        failed_by_upstream="The upstream proxy did not reach the destination, and does not say why",
    ),
}
_REFUSALS = {
    **_rows(
        _REJECTED,
        blocked_by_rule="A rule blocks the destination; `rule` says which",
        not_allowed="No rule allows the destination, and the policy's default blocks it",
        private_destination="The destination is an address inside a network",
        loopback_destination="The destination is this machine itself",
        link_local_destination="The destination is an address of one network segment only",
        multicast_destination="The destination is a group of machines",
        reserved_destination="The destination's address is nobody's",
        unspecified_destination="The destination's address is none",
        not_through_upstream="The routes lead through an upstream, which has no BIND and no UDP",
        too_many_connections_of_user="The user has as many connections as allowed",
        too_many_devices="The user comes from as many addresses as allowed",
        too_many_new_connections="The user opens connections faster than allowed",
    ),
    **_rows(
        _CUT_OR_REJECTED,
        user_disabled="The user is disabled",
        user_expired="The user has expired",
        outside_hours="The user may not connect at this hour",
        over_quota="The user's quota has ended",
        policy_changed="The rules were changed, and forbid it now",
        source_not_allowed="The user may not come from this address",
        inbound_not_allowed="The user may not come by this inbound",
    ),
}
REASONS: dict[str, Reason] = _ENDS | _CLIENTS | _DESTINATIONS | _REFUSALS
"""By code. What the kernel says besides is a code of its own, such as ``eaddrnotavail``; see `explain`."""


def explain(reason: str) -> str:
    """What a code means, in one sentence without a full stop; empty: nobody knows it."""
    known = REASONS.get(reason)
    if known is not None:
        return known.meaning
    return f"The kernel refused to connect ({reason.upper()})" if _of_kernel(reason) else ""


def _of_kernel(reason: str) -> bool:
    return reason.startswith("e") and reason[1:].isalnum() and len(reason) <= len("eprotonosupport") + 1

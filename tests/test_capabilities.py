import pytest

from tests.support.child import in_child
from tests.support.unprivileged import needs_root
from vpn import capabilities
from vpn.capabilities import Capability

STATUS = """
from pathlib import Path
def status(name):
    return Path("/proc/self/status").read_text().partition(name + ":")[2].split()[0]
"""


@pytest.fixture(autouse=True)
def _root():
    needs_root()


def test_what_is_held():
    assert Capability.NET_BIND_SERVICE in capabilities.held()


def test_all_but_one_given_up():
    assert in_child(
        STATUS
        + """
from vpn import capabilities
capabilities.hold_only(frozenset({capabilities.Capability.NET_BIND_SERVICE}))
try:
    capabilities.hold_only(frozenset({capabilities.Capability.SYS_RESOURCE}))
    again = True
except PermissionError:
    again = False
answer([sorted(capabilities.held()), again, status("CapPrm"), status("CapInh"), status("CapAmb")])
"""
    ) == [[10], False, f"{1 << 10:016x}", f"{0:016x}", f"{0:016x}"]


def test_the_switches():
    assert in_child(
        STATUS
        + """
import os
from vpn import capabilities
capabilities.empty_bounding_set()
capabilities.no_new_privileges()
capabilities.hide_memory()
capabilities.survive_setuid(True)
os.setresuid(65534, 65534, 65534)
answer([status("CapBnd"), status("NoNewPrivs"), status("CapPrm") != "0" * 16, os.stat("/proc/self/mem").st_uid])
"""
    ) == [f"{0:016x}", "1", True, 0]

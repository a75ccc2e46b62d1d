"""vpn-manager: runs, manages and observes a private VPN and proxy service.

The house is described in docs/architecture.md. Importing this package does no work.
"""

__version__ = "0.1.0"

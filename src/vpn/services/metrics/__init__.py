"""What is measured, gathered and put together for whoever asks. The table of it is in vpn.monitoring."""

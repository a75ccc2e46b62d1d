"""What requests and responses look like. One module per resource."""

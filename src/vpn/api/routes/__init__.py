"""One module per resource; each makes a router from the service it speaks for."""

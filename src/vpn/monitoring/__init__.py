"""What is measured, and what is made of it: the table of metrics, dashboards, alerts, and the files for Prometheus
and Grafana. Text and dictionaries in and out, no I/O."""

"""One set of panels, shown in OpenSearch Dashboards, in the local live page and as snapshots."""

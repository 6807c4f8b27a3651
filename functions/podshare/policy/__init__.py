"""IAM documents and Kubernetes rules: build, intersect, compare, size. Pure functions."""

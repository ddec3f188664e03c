"""The page docs/csc-conformance.md, from the tests' names."""

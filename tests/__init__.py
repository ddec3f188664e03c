"""Tests of Cellkey; ``world`` is what stands around it: real protocols, no mocks of our code."""

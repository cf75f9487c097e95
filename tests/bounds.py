"""The bound of tests whose promise is that something ends at all."""

import pytest

# What is bounded takes a second or two, what is not takes minutes or for ever: even a busy machine tells them apart.
bounded = pytest.mark.timeout(60, func_only=True)

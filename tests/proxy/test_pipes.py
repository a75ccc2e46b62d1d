import os
import resource

import pytest

from vpn.proxy import pipes as module
from vpn.proxy.pipes import Pipes


@pytest.fixture
def pipes():
    made = Pipes()
    yield made
    made.close()


def test_an_empty_pipe_is_used_again(pipes):
    first = pipes.take()
    pipes.give(first)
    assert pipes.take() is first
    pipes.give(first)


def test_a_pipe_with_somebodys_bytes_in_it_is_nobody_elses(pipes):
    pipe = pipes.take()
    pipe.filled = os.write(pipe.writer, b"secret")
    pipes.give(pipe)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipe.reader)
    other = pipes.take()
    assert other is not pipe
    pipes.give(other)


def test_there_are_so_many_and_no_more(pipes, monkeypatch):
    monkeypatch.setattr(module, "MOST", 2)
    first, second = pipes.take(), pipes.take()
    assert pipes.take() is None
    first.filled = 1
    pipes.give(first)  # thrown away, so there is room for another
    third = pipes.take()
    assert third is not None
    assert pipes.take() is None
    pipes.give(second)
    pipes.give(third)


def test_out_of_descriptors_there_is_none(pipes):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1, limits[1]))
        assert pipes.take() is None
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    pipe = pipes.take()
    assert pipe is not None
    pipes.give(pipe)


def test_closing_closes_those_that_are_free(pipes):
    pipe = pipes.take()
    pipes.give(pipe)
    pipes.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(pipe.writer)

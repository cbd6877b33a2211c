"""Numbers that change have places on the device, written before each replay in the order in which a step asks."""

import numpy as np
import pytest

from tests.devices import STANDIN
from tests.models.graphs import StandinGraphs
from tinymed import backend
from tinymed.live import Live
from tinymed.models.cuda_graphs import CannotRecord
from tinymed.models.numbers import Numbers


def test_numbers_that_are_shared_have_one_place():
    graphs = StandinGraphs()
    with backend.use_backend("array_api_strict", STANDIN):
        like = backend.asarray(np.zeros(2, "float32"))
        numbers, rate = Numbers(graphs, room=3), iter([0.5, 0.25, 0.125])
        shared, own = Live(lambda: 0.5, shared=True), Live(lambda: next(rate))
        places = [numbers.place(like, float, (shared,), None) for _ in range(3)]
        assert places[0] is places[1] is places[2] and places[0].dtype == like.dtype
        drawn = [numbers.place(like, float, (own,), None) for _ in range(2)]
        assert [float(backend.to_host(p)) for p in (places[0], *drawn)] == [0.5, 0.5, 0.25]
        with pytest.raises(CannotRecord, match="more than 3 numbers"):
            numbers.place(like, float, (own,), None)
        numbers.begin(at_once=False)
        with pytest.raises(CannotRecord, match="uint64"):
            numbers.place(like, int, (own,), "uint64")


def test_each_refresh_asks_again_in_order():
    with backend.use_backend("array_api_strict", STANDIN):
        like, count = backend.asarray(np.zeros(2)), iter(range(100))
        numbers, live = Numbers(StandinGraphs()), Live(lambda: next(count))
        first, second = (numbers.place(like, lambda n, factor: n * factor, (live, 10), None) for _ in range(2))
        word = numbers.place(like, lambda n: 2**63 + n, (live,), "uint64")
        assert [int(backend.to_host(p)) for p in (first, second, word)] == [0, 10, 2**63 + 2]
        numbers.refresh()
        assert [int(backend.to_host(p)) for p in (first, second, word)] == [30, 40, 2**63 + 5]

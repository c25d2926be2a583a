"""How threads and cores are divided among processes."""

from __future__ import annotations

from services.inference.processes import Share, shares


def test_each_process_gets_neighbouring_cores_of_its_own() -> None:
    assert shares([0, 1, 2, 3], 0, 2) == [Share(2, (0, 1)), Share(2, (2, 3))]


def test_cores_that_do_not_divide_evenly_are_all_used() -> None:
    divided = shares(list(range(10)), 0, 4)
    assert [share.threads for share in divided] == [2, 3, 2, 3]
    assert [core for share in divided for core in share.cores] == list(range(10))


def test_more_processes_than_cores_go_where_the_kernel_puts_them() -> None:
    assert shares([0, 1], 0, 3) == [Share(1, ())] * 3


def test_fewer_threads_than_cores_are_divided_without_pinning() -> None:
    assert shares(list(range(8)), 4, 2) == [Share(2, ()), Share(2, ())]

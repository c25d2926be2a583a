"""How a model is executed follows from timings alone; noise, which only lengthens them, changes nothing."""

from __future__ import annotations

import pytest

from services.inference.execution.calibration import WIDE_USUALLY, Choice, choose, cpu_grid, gpu_grid
from tests.fakes.host import FakeHost

MAX_LENGTH = 128


def on_cpu(host: FakeHost, max_length: int = MAX_LENGTH) -> Choice:
    return choose(host, cpu_grid(max_length), max_length)


def test_the_cost_of_a_run_is_found() -> None:
    assert on_cpu(FakeHost(run_cost=8.0)).run_cost_tokens == pytest.approx(8.0, abs=0.1)
    assert on_cpu(FakeHost(run_cost=30.0)).run_cost_tokens == pytest.approx(30.0, abs=0.1)


def test_the_usual_batch_stays_where_others_gain_little() -> None:
    choice = on_cpu(FakeHost(run_cost=6.0))
    assert (choice.batch_texts, choice.batch_tokens) == (8, 256)


def test_dear_runs_want_larger_batches_and_small_caches_smaller_ones() -> None:
    assert on_cpu(FakeHost(run_cost=60.0)).batch_texts == 16
    assert on_cpu(FakeHost(run_cost=3.0, cache_tokens=64), max_length=64).batch_texts == 4


def test_a_batch_holds_the_longest_text() -> None:
    assert on_cpu(FakeHost(), max_length=512).batch_tokens >= 512


def test_one_thread_a_worker_unless_more_are_clearly_better() -> None:
    assert on_cpu(FakeHost(together=0.97)).threads == 1
    assert on_cpu(FakeHost(together=0.8)).threads == 2
    assert on_cpu(FakeHost(cores=8, together=1.2)).threads == 1


def test_on_many_cores_something_between_is_tried_too() -> None:
    class Middling(FakeHost):
        def busy(self, threads: int, shape: object) -> list[float]:
            self._together = 0.8 if threads == 4 else 1.2
            return super().busy(threads, shape)  # type: ignore[arg-type]

    assert on_cpu(Middling(cores=16)).threads == 4


def test_a_lone_text_runs_wide_from_where_that_clearly_gains() -> None:
    assert on_cpu(FakeHost(hand_over_s=0.0, speed_up=1.8)).wide_from_tokens == 16
    assert on_cpu(FakeHost(hand_over_s=0.0012, speed_up=1.5)).wide_from_tokens == WIDE_USUALLY
    assert on_cpu(FakeHost(hand_over_s=0.1, speed_up=1.5)).wide_from_tokens is None
    assert on_cpu(FakeHost(cores=1)).wide_from_tokens is None


def test_where_every_run_is_wide_no_text_is_wider() -> None:
    assert on_cpu(FakeHost(hand_over_s=0.0, together=0.5)).wide_from_tokens is None


def test_busy_cores_prove_nothing_about_wide_runs_and_the_choice_says_so() -> None:
    choice = on_cpu(FakeHost(hand_over_s=0.1, others=1.0))
    assert choice.wide_from_tokens == WIDE_USUALLY
    assert not choice.quiet
    assert on_cpu(FakeHost()).quiet


@pytest.mark.parametrize("host", [{"run_cost": 6.0}, {"run_cost": 9.0, "token_s": 3e-5}, {"run_cost": 40.0}])
def test_noise_does_not_change_the_choice(host: dict[str, float]) -> None:
    calm = on_cpu(FakeHost(**host))  # type: ignore[arg-type]
    for seed in range(10):
        noisy = on_cpu(FakeHost(**host, noise=0.02, seed=seed))  # type: ignore[arg-type]
        assert (noisy.threads, noisy.batch_texts, noisy.batch_tokens) == (1, calm.batch_texts, calm.batch_tokens)
        assert noisy.wide_from_tokens == calm.wide_from_tokens
        assert noisy.run_cost_tokens == pytest.approx(calm.run_cost_tokens, rel=0.35)


def test_the_measurement_keeps_to_its_time_also_with_a_large_model() -> None:
    small, large = FakeHost(), FakeHost(token_s=2e-3)
    on_cpu(small)
    on_cpu(large)
    assert small.time < 3.0
    assert large.longest < 0.5


def test_a_gpu_gets_large_batches_and_bound_inputs_where_they_help() -> None:
    gpu = choose(FakeHost(cores=1, run_cost=2_000, token_s=1e-6, binding_saves=0.1), gpu_grid(128), 128)
    assert gpu.batch_texts == 128
    assert gpu.batch_tokens == 128 * 128
    assert gpu.bound
    assert gpu.wide_from_tokens is None
    assert not choose(FakeHost(cores=1, run_cost=500, token_s=1e-6, binding_saves=-0.1), gpu_grid(128), 128).bound

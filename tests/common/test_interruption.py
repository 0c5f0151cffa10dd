import signal
import threading

import pytest

from palmetto.common.interruption import Interruption


def test_an_error_made_of_an_interruption_is_an_interruption() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, Interruption():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise TypeError("what a library made of it") from None
    assert isinstance(caught.value.__cause__, TypeError)


def test_an_interruption_leaves_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), Interruption():
        signal.raise_signal(signal.SIGINT)


def test_an_error_without_an_interruption_leaves_as_it_is() -> None:
    with pytest.raises(TypeError), Interruption():
        raise TypeError


def test_the_exit_code_of_a_command_is_kept() -> None:
    with pytest.raises(SystemExit), Interruption():
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise SystemExit(130) from None


def test_the_handler_before_is_back_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)
    with Interruption():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_nothing_is_changed() -> None:
    before, seen = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Interruption():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]

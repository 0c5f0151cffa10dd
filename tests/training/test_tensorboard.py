"""TensorBoard events, read back by hand: length, checksum, protocol buffer, checksum (the TFRecord form)."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event, SessionLog

from palmetto.training.trackers import TensorBoard


def events(folder: Path) -> list[Event]:
    found = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data = path.read_bytes()
        while data:
            (length,) = struct.unpack("<Q", data[:8])
            found.append(Event.FromString(data[12 : 12 + length]))
            data = data[16 + length :]
    return found


def test_every_number_of_a_row_is_a_scalar_of_its_step(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.begin(0)
    tracker.log({"step": 7, "loss": 2.5, "few_shot": {"cloze_acc": 0.25}, "timing": {"mfu": 0.5}})
    tracker.close()
    values = {
        (event.step, value.tag): value.simple_value
        for event in events(tmp_path)
        for value in event.summary.value
    }
    assert values == {(7, "loss"): 2.5, (7, "few_shot/cloze_acc"): 0.25, (7, "timing/mfu"): 0.5}


def test_a_row_is_on_disk_before_the_log_is_closed(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.begin(0)
    tracker.log({"step": 1, "loss": 2.5})
    assert [event.step for event in events(tmp_path) if event.summary.value] == [1]
    tracker.close()


def test_going_on_overrides_what_was_logged_after_the_checkpoint(tmp_path: Path) -> None:
    tracker = TensorBoard(tmp_path)
    tracker.begin(25)
    tracker.close()
    starts = [event.step for event in events(tmp_path) if event.session_log.status == SessionLog.START]
    assert starts == [26]

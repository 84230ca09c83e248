"""Several devices that are taken together, or not at all."""

from torchtty.engine.worker.device_queue import DeviceLock, JointLock

BOTH = [("cuda:0", "GPU-a"), ("cuda:1", "GPU-b")]


def test_devices_are_taken_together_or_not_at_all() -> None:
    other, joint = DeviceLock("cuda:1", "GPU-b"), JointLock(BOTH)
    assert other.try_acquire("other")
    assert not joint.try_acquire("joint")
    holder = joint.holder()
    assert holder is not None
    assert holder.run == "other"
    assert joint.place() == 1

    late = DeviceLock("cuda:0", "GPU-a")
    assert not late.try_acquire("late")  # the first device is free, and kept for the one who came earlier
    other.release()
    assert joint.try_acquire("joint")
    assert not late.try_acquire("late")
    joint.release()
    assert late.try_acquire("late")
    late.release()


def test_two_that_want_the_same_devices_never_wait_for_each_other() -> None:
    first, second = JointLock(BOTH), JointLock(BOTH[::-1])
    busy = [DeviceLock(*device) for device in BOTH]
    assert all(lock.try_acquire("busy") for lock in busy)
    assert not second.try_acquire("second")  # it asks earlier, but came later
    assert not first.try_acquire("first")
    for lock in busy:
        lock.release()
    assert not second.try_acquire("second")
    assert first.try_acquire("first")
    first.release()
    assert second.try_acquire("second")
    second.release()


def test_a_device_that_several_processes_share_is_taken_once() -> None:
    lock = JointLock([("cpu", ""), ("cpu", "")])
    assert lock.try_acquire("run")
    lock.release()

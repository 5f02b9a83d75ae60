"""Device figures, on a stand-in for the driver's library: there is no NVIDIA device in the tests."""

from types import SimpleNamespace
from typing import Any

from prometheus_client import CollectorRegistry

from workers.process.devices import DeviceCollector


class NVMLError(Exception):
    pass


class Nvml:
    """Two devices; every call fails while `broken`."""

    NVMLError = NVMLError

    def __init__(self, *, driver: bool = True) -> None:
        self.driver, self.broken, self.starts = driver, False, 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.starts += 1
        if not self.driver:
            raise NVMLError

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        return {"GPU-b": 1}[uuid]

    def nvmlDeviceGetIndex(self, handle: int) -> int:  # noqa: N802
        return handle

    def nvmlDeviceGetMemoryInfo(self, handle: int) -> Any:  # noqa: N802
        if self.broken:
            raise NVMLError
        return SimpleNamespace(used=100 + handle, total=1000)

    def nvmlDeviceGetUtilizationRates(self, handle: int) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=75)


def read(nvml: Nvml, visible: str | None = None) -> dict[tuple[str, str], float]:
    registry = CollectorRegistry()
    registry.register(DeviceCollector(nvml, {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}))
    return {
        (sample.name.removeprefix("scalingcache_device_"), sample.labels["device"]): sample.value
        for family in registry.collect()
        for sample in family.samples
    }


def test_memory_and_utilisation_of_each_device() -> None:
    assert read(Nvml()) == {
        ("memory_used_bytes", "0"): 100,
        ("memory_used_bytes", "1"): 101,
        ("memory_size_bytes", "0"): 1000,
        ("memory_size_bytes", "1"): 1000,
        ("utilisation_ratio", "0"): 0.75,
        ("utilisation_ratio", "1"): 0.75,
    }


def test_only_what_the_worker_may_use() -> None:
    for visible in ("1", "GPU-b"):
        assert {device for _, device in read(Nvml(), visible)} == {"1"}
    assert read(Nvml(), "") == {}


def test_a_device_that_fails_does_not_end_the_scrape() -> None:
    nvml = Nvml()
    nvml.broken = True
    assert read(nvml) == {}


def test_without_a_driver_there_is_nothing_and_it_is_asked_once() -> None:
    nvml = Nvml(driver=False)
    collector = DeviceCollector(nvml, {})
    for _ in range(3):
        assert [family.samples for family in collector.collect()] == [[], [], []]
    assert nvml.starts == 1

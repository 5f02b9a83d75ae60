"""Memory and utilisation of the worker's NVIDIA devices, read at each scrape without touching the process on them."""

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pynvml
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


def device_memory(nvml: Any = pynvml) -> dict[str, tuple[str, int]]:
    """By its number each NVIDIA device of this machine: its name and its memory in bytes. Empty without a driver."""
    try:
        nvml.nvmlInit()
        handles = {str(index): nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())}
        return {
            index: (str(nvml.nvmlDeviceGetName(handle)), int(nvml.nvmlDeviceGetMemoryInfo(handle).total))
            for index, handle in handles.items()
        }
    except nvml.NVMLError:
        return {}


class DeviceCollector(Collector):
    """The devices that this worker may use; nothing on a machine without any."""

    def __init__(self, nvml: Any = pynvml, environment: Mapping[str, str] = os.environ) -> None:
        self._nvml = nvml
        self._visible = environment.get("CUDA_VISIBLE_DEVICES")
        self._there: bool | None = None

    def describe(self) -> list[GaugeMetricFamily]:
        """The families without samples: registering must not wake the driver."""
        return list(_families().values())

    def collect(self) -> list[GaugeMetricFamily]:
        families = _families()
        try:
            if self._start():
                for name, handle in self._handles():
                    memory = self._nvml.nvmlDeviceGetMemoryInfo(handle)
                    families["used"].add_metric([name], memory.used)
                    families["size"].add_metric([name], memory.total)
                    busy = self._nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
                    families["utilisation"].add_metric([name], busy)
        except self._nvml.NVMLError:  # A device that fell off the bus must not end the scrape of all the rest.
            return list(families.values())
        return list(families.values())

    def _start(self) -> bool:
        """Whether there is a driver. Without one this is asked once: nobody adds a device to a running process."""
        if self._there is None:
            try:
                self._nvml.nvmlInit()
                self._there = True
            except self._nvml.NVMLError:
                self._there = False
        return self._there

    def _handles(self) -> Iterator[tuple[str, Any]]:
        """Each visible device by the number that it has on the host."""
        if self._visible is None:
            for index in range(self._nvml.nvmlDeviceGetCount()):
                yield str(index), self._nvml.nvmlDeviceGetHandleByIndex(index)
            return
        for name in filter(None, (part.strip() for part in self._visible.split(","))):
            if name.isdecimal():
                yield name, self._nvml.nvmlDeviceGetHandleByIndex(int(name))
            else:
                handle = self._nvml.nvmlDeviceGetHandleByUUID(name)
                yield str(self._nvml.nvmlDeviceGetIndex(handle)), handle


def _families() -> dict[str, GaugeMetricFamily]:
    return {
        "used": GaugeMetricFamily(
            "scalingcache_device_memory_used_bytes", "Memory in use on an NVIDIA device.", labels=["device"]
        ),
        "size": GaugeMetricFamily(
            "scalingcache_device_memory_size_bytes", "Memory that an NVIDIA device has.", labels=["device"]
        ),
        "utilisation": GaugeMetricFamily(
            "scalingcache_device_utilisation_ratio",
            "Part of the last second in which an NVIDIA device computed.",
            labels=["device"],
        ),
    }

/* What the driver says of the devices without opening one. It lists them by PCI bus, CUDA the other way round unless
 * CUDA_DEVICE_ORDER is PCI_BUS_ID. NOOP_GPU_FREE and NOOP_GPU_BUSY hold free bytes and use in per cent, a number for each device
 * of this list; NOOP_GPU_PROCESS is a process that uses the first. NOOP_GPU_MIG=1 divides the first into one instance, which
 * has a UUID and memory of its own, and tells no use. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned long long bytes;
enum { INSTANCE = 256 }; /* the handle of an instance is that of its device and this */
enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7 };

static int count(void) { return getenv("NOOP_GPUS") ? atoi(getenv("NOOP_GPUS")) : 1; }
static int index_of(void *device) { return (int)((long)device % INSTANCE - 1); }
static int is_instance(void *device) { return (long)device > INSTANCE; }
static bytes nth(const char *name, int index, bytes otherwise) {
    const char *at = getenv(name);
    for (; at && index; index--) at = (at = strchr(at, ',')) ? at + 1 : NULL;
    return at && *at ? strtoull(at, NULL, 10) : otherwise;
}
static int divided(void *device) { return getenv("NOOP_GPU_MIG") && !index_of(device); }

int nvmlInit_v2(void) { return SUCCESS; }
int nvmlInitWithFlags(unsigned flags) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int error) { return error == NOT_SUPPORTED ? "Not Supported" : "no-op"; }
int nvmlDeviceGetCount_v2(unsigned *found) { *found = count(); return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
    if (index >= (unsigned)count()) return INVALID;
    *device = (void *)(long)(index + 1);
    return SUCCESS;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) { snprintf(name, length, "no-op GPU"); return SUCCESS; }
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
    const char *format = is_instance(device) ? "MIG-f%x000000-0000-0000-0000-000000000000" : "GPU-%02x000000-0000-0000-0000-000000000000";
    snprintf(uuid, length, format, index_of(device) + 1);
    return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(void *device, bytes memory[3]) { /* total, free, used */
    memory[0] = getenv("NOOP_GPU_BYTES") ? strtoull(getenv("NOOP_GPU_BYTES"), NULL, 10) : 80ull << 30;
    memory[1] = nth("NOOP_GPU_FREE", index_of(device), memory[0]);
    memory[2] = memory[0] - memory[1];
    return SUCCESS;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned use[2]) {
    if (divided(device)) return NOT_SUPPORTED;
    use[0] = (unsigned)nth("NOOP_GPU_BUSY", index_of(device), 0);
    use[1] = 0;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *degrees) { *degrees = 41 + index_of(device); return SUCCESS; }
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) { *milliwatts = 71400; return SUCCESS; }
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *later) {
    *now = *later = divided(device);
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *most) { *most = divided(device) ? 1 : 0; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **instance) {
    if (!divided(device) || index) return NOT_FOUND;
    *instance = (void *)((long)device + INSTANCE);
    return SUCCESS;
}

/* What torch asks when memory has run out: it finds no processes by a bus that it does not know. */
int nvmlDeviceGetHandleByPciBusId_v2(const char *bus, void **device) { return NOT_FOUND; }
int nvmlDeviceGetNvLinkRemoteDeviceType(void *device, unsigned link, int *type) { return NOT_SUPPORTED; }
int nvmlDeviceGetNvLinkRemotePciInfo_v2(void *device, unsigned link, void *bus) { return NOT_SUPPORTED; }
int nvmlDeviceGetComputeRunningProcesses(void *device, unsigned *room, void *found) { *room = 0; return SUCCESS; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13020; return SUCCESS; }
int nvmlDeviceGetGpuFabricInfoV(void *device, void *info) { return NOT_SUPPORTED; }

struct process { unsigned pid; bytes memory; unsigned instances[2]; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *room, struct process *found) {
    const char *pid = getenv("NOOP_GPU_PROCESS");
    unsigned processes = pid && !index_of(device), had = *room;
    *room = processes;
    if (had < processes) return TOO_SMALL;
    if (processes) *found = (struct process){(unsigned)atoi(pid), 3ull << 30, {~0u, ~0u}};
    return SUCCESS;
}

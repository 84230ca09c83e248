// What torch asks a device for once: its name, its UUID by which locks and gauges know it, and its sizes.
#include <driver_types.h>
#include <cstdlib>
#include <cstring>

extern "C" int noop_visible(int places[16]);
extern "C" size_t noop_bytes();

extern "C" int cudaGetDeviceProperties(cudaDeviceProp *found, int device) {
    int places[16] = {};
    noop_visible(places);
    memset(found, 0, sizeof *found);
    strcpy(found->name, "no-op GPU");
    found->uuid.bytes[0] = places[device] + 1;
    if (getenv("NOOP_GPU_MIG") && !places[device]) found->uuid.bytes[0] = 0xf1;
    found->totalGlobalMem = noop_bytes();
    found->major = 8;
    found->multiProcessorCount = 132;
    found->warpSize = 32;
    found->maxThreadsPerBlock = 1024;
    found->maxThreadsPerMultiProcessor = 2048;
    found->maxThreadsDim[0] = found->maxThreadsDim[1] = 1024;
    found->maxThreadsDim[2] = 64;
    found->maxGridSize[0] = 2147483647;
    found->maxGridSize[1] = found->maxGridSize[2] = 65535;
    found->maxBlocksPerMultiProcessor = 32;
    found->regsPerBlock = found->regsPerMultiprocessor = 65536;
    found->sharedMemPerBlock = 49152;
    found->sharedMemPerBlockOptin = 232448;
    found->sharedMemPerMultiprocessor = 233472;
    found->l2CacheSize = 50 << 20;
    found->textureAlignment = 512;
    return 0;
}

/* A CUDA device of host memory on which every kernel is a no-op: it leaves its results as the zeros that memory begins with.
 *
 * Real are allocation and its limit, copies, streams, events, capture, and what is refused while a stream is captured.
 * NOOP_GPUS says how many devices there are, NOOP_GPU_BYTES how much memory each has; CUDA_VISIBLE_DEVICES masks them by index.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901 };
enum { MOST_DEVICES = 16, HEADER = 512 };

/* -- what is counted: read by noop_count("launches") through ctypes, or from the file that NOOP_COUNTS names at the end -- */

static long launches, waits, copies, captures, captured_launches, graph_launches, opened;

static const struct { const char *name; long *count; } COUNTS[] = {
    {"launches", &launches},                   /* kernels, library calls and fills that the host asked for one by one */
    {"waits", &waits},                         /* the host waited for a device, a stream or an event */
    {"copies", &copies},                       /* of memory, in either direction */
    {"captures", &captures},                   /* of a stream into a graph */
    {"captured_launches", &captured_launches}, /* launches that went into a graph */
    {"graph_launches", &graph_launches},       /* replays of a graph */
    {"opened", &opened},                       /* devices with a context, a bit for each */
};
enum { KINDS = sizeof COUNTS / sizeof *COUNTS };

long noop_count(const char *name) {
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(name, COUNTS[i].name)) return *COUNTS[i].count;
    return -1;
}

__attribute__((destructor)) static void write_counts(void) {
    const char *path = getenv("NOOP_COUNTS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (!file) return;
    for (int i = 0; i < KINDS; i++) fprintf(file, "%s\"%s\": %ld", i ? ", " : "{", COUNTS[i].name, *COUNTS[i].count);
    fputs("}\n", file);
    fclose(file);
}

/* -- devices -- */

static __thread int current;

/* A device is open once something was done that needs a context on it, which costs a real one some 400 MB: as a bit for each. */
static void open_current(void) { opened |= 1L << current; }
int noop_is_open(int device) { return opened >> device & 1; }

static int number(const char *name, int otherwise) { return getenv(name) ? atoi(getenv(name)) : otherwise; }

/* Fills in the places on the PCI bus of the devices that the mask lets through; returns how many there are. */
int noop_visible(int places[MOST_DEVICES]) {
    int all = number("NOOP_GPUS", 1), count = 0;
    const char *mask = getenv("CUDA_VISIBLE_DEVICES"), *order = getenv("CUDA_DEVICE_ORDER");
    int by_bus = order && !strcmp(order, "PCI_BUS_ID"); /* else the last on the bus is the fastest */
    if (!mask)
        for (; count < all && count < MOST_DEVICES; count++) places[count] = by_bus ? count : all - 1 - count;
    while (mask && *mask && count < MOST_DEVICES) {
        char *end;
        long index = strtol(mask, &end, 10);
        if (end == mask) { /* a UUID, whose first byte is the place + 1, or f1 for the instance of the first */
            index = strtol(mask + strcspn(mask, "-") + 1, NULL, 16) >> 24 & 15;
            index = by_bus ? index - 1 : all - index;
            end = (char *)mask + strcspn(mask, ",");
        }
        if (index < 0 || index >= all) break;
        places[count++] = (int)(by_bus ? index : all - 1 - index);
        mask = *end == ',' ? end + 1 : end;
    }
    return count;
}

size_t noop_bytes(void) {
    const char *bytes = getenv("NOOP_GPU_BYTES");
    return bytes ? strtoull(bytes, NULL, 10) : (size_t)80 << 30;
}

int cudaGetDeviceCount(int *count) {
    int places[MOST_DEVICES];
    *count = noop_visible(places);
    return *count ? SUCCESS : 100; /* cudaErrorNoDevice */
}
int cudaGetDevice(int *device) { *device = current; return SUCCESS; }
int cudaSetDevice(int device) { current = device; open_current(); return SUCCESS; }
int cudaDriverGetVersion(int *version) { *version = 13020; return SUCCESS; }
int cudaRuntimeGetVersion(int *version) { *version = 13020; return SUCCESS; }
int cudaDeviceCanAccessPeer(int *can, int a, int b) { *can = 0; return SUCCESS; }
int cudaDeviceGetStreamPriorityRange(int *least, int *greatest) { *least = 0; *greatest = -5; return SUCCESS; }
int cudaDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
        case 1: *value = 1024; break;    /* threads a block */
        case 8: *value = 49152; break;   /* shared memory a block */
        case 10: *value = 32; break;     /* warp size */
        case 16: *value = 132; break;    /* multiprocessors */
        case 39: *value = 2048; break;   /* threads a multiprocessor */
        case 75: *value = 8; break;      /* compute capability 8.0 */
        case 76: *value = 0; break;
        case 81: *value = 233472; break; /* shared memory a multiprocessor */
        case 97: *value = 232448; break; /* shared memory a block that asks for more */
        default: *value = 1;
    }
    return SUCCESS;
}

/* -- memory: zeroed, counted by device, and limited -- */

static size_t used[MOST_DEVICES];

struct header { void *raw; size_t bytes; int device; };

static int allocate(void **pointer, size_t bytes) {
    open_current();
    if (used[current] + bytes > noop_bytes()) { *pointer = NULL; return OUT_OF_MEMORY; }
    char *raw = calloc(1, bytes + 2 * HEADER);
    if (!raw) { *pointer = NULL; return OUT_OF_MEMORY; }
    char *aligned = (char *)(((uintptr_t)raw + 2 * HEADER - 1) & ~(uintptr_t)(HEADER - 1));
    *(struct header *)(aligned - sizeof(struct header)) = (struct header){raw, bytes, current};
    used[current] += bytes;
    *pointer = aligned;
    return SUCCESS;
}
static int release(void *pointer) {
    if (!pointer) return SUCCESS;
    struct header *header = (struct header *)((char *)pointer - sizeof(struct header));
    used[header->device] -= header->bytes;
    free(header->raw);
    return SUCCESS;
}
int cudaMalloc(void **pointer, size_t bytes) { return allocate(pointer, bytes); }
int cudaMallocAsync(void **pointer, size_t bytes, void *stream) { return allocate(pointer, bytes); }
int cudaMallocManaged(void **pointer, size_t bytes, unsigned flags) { return allocate(pointer, bytes); }
int cudaFree(void *pointer) { return release(pointer); }
int cudaFreeAsync(void *pointer, void *stream) { return release(pointer); }
int cudaMemGetInfo(size_t *left, size_t *total) { open_current(); *total = noop_bytes(); *left = *total - used[current]; return SUCCESS; }

static void *pinned[1 << 16];
static int pinned_count;

int cudaHostAlloc(void **pointer, size_t bytes, unsigned flags) {
    open_current();
    *pointer = calloc(1, bytes + HEADER);
    if (*pointer && pinned_count < 1 << 16) pinned[pinned_count++] = *pointer;
    return *pointer ? SUCCESS : OUT_OF_MEMORY;
}
int cudaMallocHost(void **pointer, size_t bytes) { return cudaHostAlloc(pointer, bytes, 0); }
int cudaFreeHost(void *pointer) {
    for (int i = 0; i < pinned_count; i++)
        if (pinned[i] == pointer) { pinned[i] = pinned[--pinned_count]; break; }
    free(pointer);
    return SUCCESS;
}
/* What torch asks to find out whether memory of the host is pinned: the type is 1 for pinned memory, 0 for any other. */
int cudaPointerGetAttributes(int *attributes, const void *pointer) {
    memset(attributes, 0, 32);
    for (int i = 0; i < pinned_count; i++)
        if (pinned[i] == pointer) attributes[0] = 1;
    return SUCCESS;
}

/* -- streams, events, capture -- */

struct stream { int status; unsigned long long id; struct graph *graph; }; /* status: 0 none, 1 active, 2 invalidated */
struct graph { long launches; };

static struct stream default_stream;
static int capturing; /* streams that are captured at the moment */

static struct stream *of(void *stream) { return (uintptr_t)stream < 16 ? &default_stream : stream; }

/* Whoever waits while a stream is captured spoils the capture, as on a real device. */
static int wait_for(void *stream) {
    waits++;
    if (of(stream)->status) { of(stream)->status = 2; return CAPTURE_UNSUPPORTED; }
    return SUCCESS;
}
static struct stream *captured_stream;
static int wait_for_all(void) {
    open_current();
    waits++;
    if (capturing) { captured_stream->status = 2; return CAPTURE_UNSUPPORTED; }
    return SUCCESS;
}
static int launch(void *stream) {
    open_current();
    if (of(stream)->status) {
        captured_launches++;
        of(stream)->graph->launches++;
        return of(stream)->status == 1 ? SUCCESS : CAPTURE_INVALIDATED;
    }
    launches++;
    return SUCCESS;
}
/* A library call names its stream by a handle; torch launches on one stream at a time, so a capture has them all. */
int noop_library_call(void) { return launch(capturing ? captured_stream : NULL), SUCCESS; }

int cudaStreamCreateWithPriority(void **stream, unsigned flags, int priority) { open_current(); *stream = calloc(1, 4096); return SUCCESS; }
int cudaStreamCreateWithFlags(void **stream, unsigned flags) { *stream = calloc(1, 4096); return SUCCESS; }
int cudaStreamGetPriority(void *stream, int *priority) { *priority = 0; return SUCCESS; }
int cudaEventCreateWithFlags(void **event, unsigned flags) { *event = calloc(1, 64); return SUCCESS; }
int cudaEventCreate(void **event) { *event = calloc(1, 64); return SUCCESS; }
int cudaEventDestroy(void *event) { free(event); return SUCCESS; }
int cudaEventElapsedTime(float *milliseconds, void *a, void *b) { *milliseconds = 1; return SUCCESS; }
int cudaStreamSynchronize(void *stream) { return wait_for(stream); }
int cudaDeviceSynchronize(void) { return wait_for_all(); }
int cudaEventSynchronize(void *event) { return wait_for_all(); }

int cudaStreamBeginCapture(void *stream, int mode) {
    static unsigned long long ids;
    struct stream *begun = of(stream);
    if (begun == &default_stream || begun->status) return CAPTURE_UNSUPPORTED;
    *begun = (struct stream){1, ++ids, calloc(1, sizeof(struct graph))};
    captured_stream = begun;
    capturing++;
    captures++;
    return SUCCESS;
}
int cudaStreamIsCapturing(void *stream, int *status) { *status = of(stream)->status; return SUCCESS; }
int cudaStreamGetCaptureInfo(void *stream, int *status, unsigned long long *id, void **graph, ...) {
    *status = of(stream)->status;
    if (*status && id) *id = of(stream)->id;
    if (*status && graph) *graph = of(stream)->graph;
    return SUCCESS;
}
int cudaStreamEndCapture(void *stream, void **graph) {
    struct stream *ended = of(stream);
    int status = ended->status;
    if (!status) return INVALID_VALUE;
    ended->status = 0;
    capturing--;
    *graph = status == 1 ? ended->graph : NULL;
    return status == 1 ? SUCCESS : CAPTURE_INVALIDATED;
}
int cudaGraphGetNodes(struct graph *graph, void **nodes, size_t *count) { if (!nodes) *count = graph->launches; return SUCCESS; }
int cudaGraphInstantiate(void **executable, void *graph, unsigned long long flags) { *executable = graph; return SUCCESS; }
int cudaGraphInstantiateWithFlags(void **executable, void *graph, unsigned long long flags) { *executable = graph; return SUCCESS; }
int cudaGraphLaunch(void *executable, void *stream) { graph_launches++; return SUCCESS; }
int cudaGraphDestroy(void *graph) { return SUCCESS; }
int cudaGraphExecDestroy(void *graph) { return SUCCESS; }

/* -- copies and fills, which are done at once -- */

static int copy(void *to, const void *from, size_t bytes) { copies++; memmove(to, from, bytes); return SUCCESS; }
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) { waits++; return copy(to, from, bytes); }
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *stream) {
    return of(stream)->status ? launch(stream) : copy(to, from, bytes);
}
int cudaMemcpyPeerAsync(void *to, int a, const void *from, int b, size_t bytes, void *stream) { return copy(to, from, bytes); }
int cudaMemset(void *to, int value, size_t bytes) { memset(to, value, bytes); launches++; return SUCCESS; }
int cudaMemsetAsync(void *to, int value, size_t bytes, void *stream) { memset(to, value, bytes); return launch(stream); }

/* -- kernels -- */

struct dim3 { unsigned x, y, z; };
int cudaLaunchKernel(const void *kernel, struct dim3 grid, struct dim3 block, void **args, size_t shared, void *stream) {
    return launch(stream);
}
int __cudaLaunchKernel(const void *kernel, struct dim3 grid, struct dim3 block, void **args, size_t shared, void *stream) {
    return launch(stream);
}
struct launch_config { struct dim3 grid, block; size_t shared; void *stream; };
int cudaLaunchKernelExC(const struct launch_config *config, const void *kernel, void **args) { return launch(config->stream); }
int __cudaGetKernel(void **kernel, const void *function) { *kernel = (void *)function; return SUCCESS; }
int cudaFuncGetAttributes(int *attributes, const void *kernel) {
    memset(attributes, 0, 64);
    attributes[6] = 1024; /* threads a block; then registers, and versions of the code */
    attributes[7] = 32;
    attributes[8] = attributes[9] = 90;
    return SUCCESS;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, const void *kernel, int threads, size_t shared) {
    *blocks = 8;
    return SUCCESS;
}
int cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *kernel, int threads, size_t shared, unsigned flags) {
    *blocks = 8;
    return SUCCESS;
}
const char *cudaGetErrorString(int error) {
    return error == OUT_OF_MEMORY ? "out of memory" : error >= 900 ? "operation not permitted when stream is capturing" : "no-op";
}
const char *cudaGetErrorName(int error) { return error == OUT_OF_MEMORY ? "cudaErrorMemoryAllocation" : "no-op"; }

/* The libraries above the device: handles are there, computations are launches, algorithms are found; and the driver below it. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cudnn_version.h>

int noop_library_call(void);
int noop_is_open(int device);
int noop_visible(int places[16]);

static int handle(void **made) { *made = calloc(1, 4096); return 0; }

/* -- cuBLAS -- */
int cublasCreate_v2(void **made) { return handle(made); }
int cublasGetPointerMode_v2(void *cublas, int *mode) { *mode = 0; return 0; }
int cublasGetMathMode(void *cublas, int *mode) { *mode = 0; return 0; }
size_t cublasLtGetVersion(void) { return 130400; }
int cublasLtMatmulDescCreate(void **made, int compute, int scale) { return handle(made); }
int cublasLtMatrixLayoutCreate(void **made, int type, unsigned long rows, unsigned long columns, long stride) { return handle(made); }
int cublasLtMatmulPreferenceCreate(void **made) { return handle(made); }
int cublasLtMatmulAlgoGetHeuristic(void *cublas, void *desc, void *a, void *b, void *c, void *d, void *p, int wanted, void *found, int *count) {
    memset(found, 0, 64);
    *count = 1;
    return 0;
}

/* -- cuDNN: descriptors come from the generated part -- */
size_t cudnnGetVersion(void) { return CUDNN_VERSION; }
int cudnnGetProperty(int which, int *value) {
    *value = which == 0 ? CUDNN_MAJOR : which == 1 ? CUDNN_MINOR : CUDNN_PATCHLEVEL;
    return 0;
}
int cudnnCreate(void **made) { return handle(made); }

/* One algorithm is found for a convolution: number 0, which succeeds and needs no memory. */
static int find(int *count, void *found) { memset(found, 0, 48); *count = 1; return 0; }
int cudnnGetConvolutionForwardAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *count, void *found) { return find(count, found); }
int cudnnGetConvolutionBackwardDataAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *count, void *found) { return find(count, found); }
int cudnnGetConvolutionBackwardFilterAlgorithm_v7(void *h, void *a, void *b, void *c, void *d, int n, int *count, void *found) { return find(count, found); }
int cudnnFindConvolutionForwardAlgorithmEx(void *h, void *a, void *x, void *b, void *w, void *c, void *d, void *y, int n, int *count, void *found) { return find(count, found); }
int cudnnFindConvolutionBackwardDataAlgorithmEx(void *h, void *a, void *x, void *b, void *w, void *c, void *d, void *y, int n, int *count, void *found) { return find(count, found); }
int cudnnFindConvolutionBackwardFilterAlgorithmEx(void *h, void *a, void *x, void *b, void *w, void *c, void *d, void *y, int n, int *count, void *found) { return find(count, found); }
int cudnnGetConvolutionForwardWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int algorithm, size_t *bytes) { *bytes = 0; return 0; }
int cudnnGetConvolutionBackwardDataWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int algorithm, size_t *bytes) { *bytes = 0; return 0; }
int cudnnGetConvolutionBackwardFilterWorkspaceSize(void *h, void *a, void *b, void *c, void *d, int algorithm, size_t *bytes) { *bytes = 0; return 0; }

int cudnnGetBatchNormalizationForwardTrainingExWorkspaceSize(void *h, int m, int o, void *a, void *b, void *c, void *d, void *e, size_t *bytes) { *bytes = 0; return 0; }
int cudnnGetBatchNormalizationBackwardExWorkspaceSize(void *h, int m, int o, void *a, void *b, void *c, void *d, void *e, void *f, void *g, size_t *bytes) { *bytes = 0; return 0; }
int cudnnGetBatchNormalizationTrainingExReserveSpaceSize(void *h, int m, int o, void *a, void *b, size_t *bytes) { *bytes = 0; return 0; }

/* A recurrent network's weights lie in one buffer, which torch has cuDNN divide: for each layer the matrices that read the input,
   those that read the state, and two biases for each. */
struct rnn { int cell, bias, input, hidden, layers; };
struct tensor { int rows, columns; };

int cudnnSetRNNDescriptor_v8(struct rnn *rnn, int algorithm, int cell, int bias, int direction, int mode, int type, int precision, int math,
                             int input, int hidden, int projected, int layers) {
    *rnn = (struct rnn){cell, bias, input, hidden, layers};
    return 0;
}
static size_t gates(const struct rnn *rnn) { return rnn->cell == 2 ? 4 : rnn->cell == 3 ? 3 : 1; } /* LSTM, GRU, or plain */
static size_t layer_begins(const struct rnn *rnn, int layer) { /* in numbers of four bytes */
    size_t begin = 0;
    for (int each = 0; each < layer; each++)
        begin += gates(rnn) * rnn->hidden * ((each ? rnn->hidden : rnn->input) + rnn->hidden + (rnn->bias ? 2 : 0));
    return begin;
}
int cudnnGetRNNWeightSpaceSize(void *h, const struct rnn *rnn, size_t *bytes) {
    *bytes = 4 * layer_begins(rnn, rnn->layers);
    return 0;
}
int cudnnGetRNNWeightParams(void *h, const struct rnn *rnn, int layer, size_t size, char *space, int id, struct tensor *matrix, void **matrix_at,
                            struct tensor *bias, void **bias_at) {
    size_t input = layer ? rnn->hidden : rnn->input, hidden = rnn->hidden, of_input = gates(rnn);
    size_t begin = layer_begins(rnn, layer), biases = begin + of_input * hidden * (input + hidden);
    if (matrix) *matrix = (struct tensor){hidden, id < of_input ? input : hidden};
    if (matrix_at) *matrix_at = space + 4 * (begin + (id < of_input ? id * hidden * input : of_input * hidden * input + (id - of_input) * hidden * hidden));
    if (bias) *bias = (struct tensor){hidden, 1};
    if (bias_at) *bias_at = rnn->bias ? space + 4 * (biases + id * hidden) : NULL;
    return 0;
}
int cudnnGetTensorNdDescriptor(const struct tensor *tensor, int wanted, int *type, int *dimensions, int sizes[], int strides[]) {
    *type = 0;
    *dimensions = 3;
    sizes[0] = 1, sizes[1] = tensor->rows, sizes[2] = tensor->columns;
    return 0;
}
int cudnnGetRNNTempSpaceSizes(void *h, void *rnn, int mode, void *x, size_t *work, size_t *reserve) {
    if (work) *work = 4;
    if (reserve) *reserve = 4;
    return 0;
}
int cudnnDropoutGetStatesSize(void *h, size_t *bytes) { *bytes = 4; return 0; }

/* -- the driver -- */
static int nothing(void) { return 0; }
static int entry_point(const char *name, void **function) { /* what is not here succeeds and does nothing */
    *function = dlsym(RTLD_DEFAULT, name);
    if (!*function) *function = (void *)nothing;
    return 0;
}
int cudaGetDriverEntryPointByVersion(const char *name, void **function, unsigned version, unsigned long long flags, int *found) {
    if (found) *found = 0;
    return entry_point(name, function);
}
int cudaGetDriverEntryPoint(const char *name, void **function, unsigned long long flags, int *found) {
    if (found) *found = 0;
    return entry_point(name, function);
}
static char context[64];
int cuInit(unsigned flags) { return 0; }
int cuDriverGetVersion(int *version) { *version = 13020; return 0; }
int cuDeviceGet(int *device, int index) { *device = index; return 0; }
int cuDeviceGetCount(int *count) { int places[16]; *count = noop_visible(places); return 0; }
int cuDeviceGetAttribute(int *value) { *value = 1; return 0; }
int cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) { *flags = 0; *active = noop_is_open(device); return 0; }
int cuDevicePrimaryCtxRetain(void **made, int device) { *made = context; return 0; }
int cuCtxGetCurrent(void **made) { *made = context; return 0; }
int cuCtxSetCurrent(void *set) { return 0; }
int cuCtxGetDevice(int *device) { *device = 0; return 0; }
int cuGetErrorString(int error, const char **text) { *text = "no-op"; return 0; }
int cuGetErrorName(int error, const char **text) { *text = "no-op"; return 0; }
int cuModuleLoadData(void **made, const void *code) { return handle(made); }
int cuModuleLoadDataEx(void **made) { return handle(made); }
int cuModuleGetFunction(void **made, void *module, const char *name) { return handle(made); }
int cuModuleUnload() { return 0; }
int cuFuncSetAttribute() { return 0; }
int cuFuncGetAttribute(int *value) { *value = 0; return 0; }
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks) { *blocks = 8; return 0; }
int cuTensorMapEncodeTiled() { return 0; }
int cuPointerGetAttribute() { return 0; }
int cuLaunchKernel() { return noop_library_call(); }
int cuLaunchKernelEx() { return noop_library_call(); }

/* RowInt8MatMul and RowInt4MatMul: products of activation rows in int8 with constant matrices, on
 * the session's own threads. */
#include <stdlib.h>

#include "operator.h"
#include "panels.h"

enum { X, WEIGHTS, SCALES, NUM_INPUTS };
enum { ROWS_A_TASK = 96, FEW_ROWS = 8 };
enum { MOST_LENGTH = INT32_MAX / (127 * 127) }; /* of a row whose sum fits into 32 bits */

typedef struct {
    const OrtApi *api;
    Panels *panels;
} Kernel;

typedef struct {
    const Panels *panels;
    const float *x;
    float *out;
    Rows rows;
} Call;

static OrtStatus *constant(const OrtApi *api, const OrtKernelInfo *info, size_t index,
                           Tensor *tensor) {
    const OrtValue *value = NULL;
    int is_constant = 0;
    OrtStatus *failed = api->KernelInfoGetConstantInput_tensor(info, index, &is_constant, &value);
    if (!failed && !is_constant)
        failed = api->CreateStatus(ORT_INVALID_ARGUMENT, "weights and scales must be constant");
    return failed ? failed : describe(api, value, tensor);
}

static OrtStatus *new_kernel(const OrtApi *api, Panels *panels, void **kernel) {
    Kernel *made = panels ? malloc(sizeof(Kernel)) : NULL;
    if (!made) {
        if (panels) panels_free(panels);
        return api->CreateStatus(ORT_FAIL, "there is no memory for the weights");
    }
    *made = (Kernel){api, panels};
    *kernel = made;
    return NULL;
}

/* weights int8 [K, N], scales float [N] */
static OrtStatus *new_int8(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info,
                           void **kernel) {
    Tensor weights, scales;
    OrtStatus *failed = constant(api, info, WEIGHTS, &weights);
    if (!failed) failed = constant(api, info, SCALES, &scales);
    if (failed) return failed;
    if (weights.num_dims != 2 || scales.num_dims != 1 || scales.dims[0] != weights.dims[1])
        return api->CreateStatus(ORT_INVALID_ARGUMENT, "int8: weights are [K, N], scales [N]");
    const size_t length = weights.dims[0], columns = weights.dims[1];
    if (length > MOST_LENGTH)
        return api->CreateStatus(ORT_INVALID_ARGUMENT, "int8: K is too large for sums of 32 bits");
    (void)op;
    return new_kernel(api, panels_of_int8(weights.data, scales.data, length, columns), kernel);
}

/* weights uint8 [N, blocks, BLOCK / 2], scales float [N * blocks]; K is a multiple of BLOCK */
static OrtStatus *new_int4(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info,
                           void **kernel) {
    Tensor weights, scales;
    OrtStatus *failed = constant(api, info, WEIGHTS, &weights);
    if (!failed) failed = constant(api, info, SCALES, &scales);
    if (failed) return failed;
    if (weights.num_dims != 3 || weights.dims[2] != BLOCK / 2 || scales.num_dims != 1 ||
        scales.dims[0] != weights.dims[0] * weights.dims[1])
        return api->CreateStatus(ORT_INVALID_ARGUMENT,
                                 "int4: weights are [N, blocks, 16], scales [N * blocks]");
    const size_t length = weights.dims[1] * BLOCK, columns = weights.dims[0];
    (void)op;
    return new_kernel(api, panels_of_int4(weights.data, scales.data, length, columns), kernel);
}

static void destroy(void *state) {
    Kernel *kernel = state;
    panels_free(kernel->panels);
    free(kernel);
}

static void quantize_one(void *data, size_t row) {
    Call *call = data;
    rows_quantize(&call->rows, row, call->x, call->panels->length);
}

/* Tasks go through all panels for the same rows before they go on to others. */
static void multiply_some(void *data, size_t task) {
    Call *call = data;
    size_t first = task / call->panels->count * ROWS_A_TASK, last = first + ROWS_A_TASK;
    if (last > call->rows.rows) last = call->rows.rows;
    call->panels->multiply(call->panels, task % call->panels->count, &call->rows, first, last,
                           call->out);
}

static OrtStatus *multiply(const OrtApi *api, OrtKernelContext *context, Call *call) {
    const size_t rows = call->rows.rows, chunks = (rows + ROWS_A_TASK - 1) / ROWS_A_TASK;
    OrtStatus *failed = NULL;
    if (rows < FEW_ROWS)
        for (size_t row = 0; row < rows; row++) quantize_one(call, row);
    else
        failed = api->KernelContext_ParallelFor(context, quantize_one, rows, 0, call);
    if (failed) return failed;
    return api->KernelContext_ParallelFor(context, multiply_some, chunks * call->panels->count, 0,
                                          call);
}

/* x float [.., K] to [.., N] */
static OrtStatus *compute(void *state, OrtKernelContext *context) {
    const Kernel *kernel = state;
    const OrtApi *api = kernel->api;
    Tensor x;
    Call call = {.panels = kernel->panels};
    OrtStatus *failed = read_input(api, context, X, &x);
    if (failed) return failed;
    if (!x.num_dims || (size_t)x.dims[x.num_dims - 1] != call.panels->length)
        return api->CreateStatus(ORT_INVALID_ARGUMENT, "x must be [.., K], as the weights say");
    size_t rows = 1;
    for (size_t i = 0; i + 1 < x.num_dims; i++) rows *= x.dims[i];
    x.dims[x.num_dims - 1] = call.panels->columns;
    failed = new_output(api, context, 0, x.dims, x.num_dims, (void **)&call.out);
    if (failed || !rows) return failed;
    if (!rows_allocate(&call.rows, rows, call.panels->length))
        return api->CreateStatus(ORT_FAIL, "there is no memory for the activations");
    call.x = x.data;
    failed = multiply(api, context, &call);
    rows_free(&call.rows);
    return failed;
}

static const char *int8_name(const OrtCustomOp *op) { return (void)op, "RowInt8MatMul"; }
static const char *int4_name(const OrtCustomOp *op) { return (void)op, "RowInt4MatMul"; }
static size_t num_inputs(const OrtCustomOp *op) { return (void)op, NUM_INPUTS; }
static size_t num_outputs(const OrtCustomOp *op) { return (void)op, 1; }
static int int8_input(const OrtCustomOp *op, size_t index) {
    return (void)op, index == WEIGHTS ? ORT_INT8 : ORT_FLOAT;
}
static int int4_input(const OrtCustomOp *op, size_t index) {
    return (void)op, index == WEIGHTS ? ORT_UINT8 : ORT_FLOAT;
}
static int output_type(const OrtCustomOp *op, size_t index) {
    return (void)op, (void)index, ORT_FLOAT;
}

#define PRODUCT                                                                                   \
    OPERATOR, .GetInputTypeCount = num_inputs, .GetOutputTypeCount = num_outputs,                 \
        .GetOutputType = output_type, .KernelComputeV2 = compute, .KernelDestroy = destroy

const OrtCustomOp int8_operator = {
    PRODUCT, .GetName = int8_name, .GetInputType = int8_input, .CreateKernelV2 = new_int8};
const OrtCustomOp int4_operator = {
    PRODUCT, .GetName = int4_name, .GetInputType = int4_input, .CreateKernelV2 = new_int4};

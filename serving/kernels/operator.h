/* What our operators share: tensors of a call, and what all of them answer ONNX Runtime alike. */
#pragma once

#include "onnxruntime_abi.h"

enum { MOST_DIMS = 8 };

extern const OrtCustomOp int8_operator, int4_operator, attention_operator;

typedef struct {
    void *data;
    int64_t dims[MOST_DIMS];
    size_t num_dims;
} Tensor;

static inline OrtStatus *describe(const OrtApi *api, const OrtValue *value, Tensor *tensor) {
    OrtTensorTypeAndShapeInfo *info = NULL;
    OrtStatus *failed = api->GetTensorTypeAndShape(value, &info);
    if (failed) return failed;
    failed = api->GetDimensionsCount(info, &tensor->num_dims);
    if (!failed && tensor->num_dims > MOST_DIMS)
        failed = api->CreateStatus(ORT_INVALID_ARGUMENT, "an input has too many dimensions");
    if (!failed) failed = api->GetDimensions(info, tensor->dims, tensor->num_dims);
    api->ReleaseTensorTypeAndShapeInfo(info);
    return failed ? failed : api->GetTensorMutableData((OrtValue *)value, &tensor->data);
}

static inline OrtStatus *read_input(const OrtApi *api, const OrtKernelContext *context,
                                    size_t index, Tensor *tensor) {
    const OrtValue *value = NULL;
    OrtStatus *failed = api->KernelContext_GetInput(context, index, &value);
    return failed ? failed : describe(api, value, tensor);
}

/* `data` becomes the memory of an output of these dimensions. */
static inline OrtStatus *new_output(const OrtApi *api, OrtKernelContext *context, size_t index,
                                    const int64_t *dims, size_t num_dims, float **data) {
    OrtValue *value = NULL;
    OrtStatus *failed = api->KernelContext_GetOutput(context, index, dims, num_dims, &value);
    return failed ? failed : api->GetTensorMutableData(value, (void **)data);
}

static inline const char *cpu_provider(const OrtCustomOp *op) {
    return (void)op, "CPUExecutionProvider";
}
static inline int float_output(const OrtCustomOp *op, size_t index) {
    return (void)op, (void)index, ORT_FLOAT;
}
static inline int required(const OrtCustomOp *op, size_t index) { return (void)op, (void)index, 0; }
static inline int main_memory(const OrtCustomOp *op, size_t index) {
    return (void)op, (void)index, 0;
}
static inline int none(const OrtCustomOp *op) { return (void)op, 0; }
static inline int first_version(const OrtCustomOp *op) { return (void)op, 1; }
static inline int last_version(const OrtCustomOp *op) { return (void)op, INT32_MAX; }

#define OPERATOR                                                                                  \
    .version = ORT_API, .GetExecutionProviderType = cpu_provider, .GetOutputType = float_output,  \
    .GetInputCharacteristic = required, .GetOutputCharacteristic = required,                      \
    .GetInputMemoryType = main_memory, .GetVariadicInputMinArity = none,                          \
    .GetVariadicInputHomogeneity = none, .GetVariadicOutputMinArity = none,                       \
    .GetVariadicOutputHomogeneity = none, .GetStartVersion = first_version,                       \
    .GetEndVersion = last_version

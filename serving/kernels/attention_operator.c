/* RowsAttention: see attention.h.
 *
 *     query, key, value  float [B, T, heads * head_dim]; or all three the same tensor, in which a
 *                        position's queries, keys and values follow each other
 *     past_key, past_value  float [B, kv_heads, capacity, head_dim]
 *     last_positions     int32 [B], of each row's T new positions
 *     cosines, sines     float [.., rotary_dim / 2], of every position; of no width: none
 *  to attended           float [B, T, num_heads * head_dim]
 *     present_key, present_value  as the past's, or in its very place
 */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "attention.h"
#include "operator.h"

enum { QUERY, KEY, VALUE, PAST_KEY, PAST_VALUE, LAST_POSITIONS, COSINES, SINES, NUM_INPUTS };
enum { ATTENDED, PRESENT_KEY, PRESENT_VALUE, NUM_OUTPUTS };
enum { LANES_OF_A_HEAD = 16 };

typedef struct {
    const OrtApi *api;
    AttentionShape shape;
} Kernel;

typedef struct {
    AttentionShape shape;
    AttentionCall call;
    size_t at_once, pieces; /* positions of a task; tasks of a row and KV head */
    atomic_int without_memory;
} Work;

static OrtStatus *read_shape(const OrtApi *api, const OrtKernelInfo *info, AttentionShape *shape) {
    int64_t num_heads = 0, kv_heads = 0, interleaved = 0;
    OrtStatus *failed = api->KernelInfoGetAttribute_int64(info, "num_heads", &num_heads);
    if (!failed) failed = api->KernelInfoGetAttribute_int64(info, "kv_num_heads", &kv_heads);
    if (!failed)
        failed = api->KernelInfoGetAttribute_int64(info, "rotary_interleaved", &interleaved);
    if (!failed)
        failed = api->KernelInfoGetAttribute_int64(info, "local_window_size", &shape->window);
    if (!failed) failed = api->KernelInfoGetAttribute_float(info, "scale", &shape->scale);
    if (!failed) failed = api->KernelInfoGetAttribute_float(info, "softcap", &shape->softcap);
    if (failed) return failed;
    if (num_heads < 1 || kv_heads < 1 || num_heads % kv_heads)
        return api->CreateStatus(ORT_INVALID_ARGUMENT, "heads must be a multiple of KV heads");
    shape->num_heads = num_heads;
    shape->kv_heads = kv_heads;
    shape->interleaved = interleaved != 0;
    return NULL;
}

static OrtStatus *new_kernel(const OrtCustomOp *op, const OrtApi *api, const OrtKernelInfo *info,
                             void **kernel) {
    Kernel made = {.api = api};
    OrtStatus *failed = read_shape(api, info, &made.shape);
    (void)op;
    if (failed) return failed;
    if (!(*kernel = malloc(sizeof(Kernel))))
        return api->CreateStatus(ORT_FAIL, "there is no memory for an attention");
    memcpy(*kernel, &made, sizeof(Kernel));
    return NULL;
}

/* What the inputs' dimensions say, or what is wrong with them. */
static const char *understand(const Tensor in[NUM_INPUTS], Work *work) {
    AttentionShape *shape = &work->shape;
    AttentionCall *call = &work->call;
    const int packed = in[QUERY].data == in[KEY].data;
    if (in[QUERY].num_dims != 3 || in[KEY].num_dims != 3 || in[PAST_KEY].num_dims != 4 ||
        in[COSINES].num_dims != 2 || in[LAST_POSITIONS].num_dims != 1)
        return "an input of the attention has another number of dimensions";
    call->rows = in[QUERY].dims[0];
    call->new_positions = in[QUERY].dims[1];
    call->capacity = in[PAST_KEY].dims[2];
    shape->head_dim = in[PAST_KEY].dims[3];
    shape->rotary_dim = 2 * in[COSINES].dims[1];
    const size_t queries = shape->num_heads * shape->head_dim;
    const size_t keys = shape->kv_heads * shape->head_dim;
    call->position_stride = in[QUERY].dims[2];
    call->kv_position_stride = in[KEY].dims[2];
    call->row_stride = call->new_positions * call->position_stride;
    call->kv_row_stride = call->new_positions * call->kv_position_stride;
    call->query = in[QUERY].data;
    call->key = (const float *)in[KEY].data + (packed ? queries : 0);
    call->value = (const float *)in[VALUE].data + (packed ? queries + keys : 0);
    call->last_positions = in[LAST_POSITIONS].data;
    call->cosines = in[COSINES].data;
    call->sines = in[SINES].data;
    if (call->position_stride != (packed ? queries + 2 * keys : queries) ||
        (!packed && call->kv_position_stride != keys))
        return "queries, keys or values of the attention have another width than its heads";
    if (shape->head_dim % LANES_OF_A_HEAD || shape->rotary_dim > shape->head_dim)
        return "a head of the attention must be a multiple of 16 wide, and what is rotated inside";
    if (in[PAST_KEY].dims[0] < in[QUERY].dims[0] || in[LAST_POSITIONS].dims[0] != in[QUERY].dims[0] ||
        (size_t)in[PAST_KEY].dims[1] != shape->kv_heads)
        return "the attention's memory is of other rows or heads";
    for (size_t row = 0; row < call->rows; row++) {
        const int64_t last = call->last_positions[row];
        if (last + 1 < (int64_t)call->new_positions || last >= (int64_t)call->capacity ||
            (shape->rotary_dim && last >= in[COSINES].dims[0]))
            return "a position of the attention is outside its memory";
    }
    return NULL;
}

static void attend(Work *work, size_t row_and_head, size_t first) {
    const size_t row = row_and_head / work->shape.kv_heads;
    const size_t kv_head = row_and_head % work->shape.kv_heads;
    size_t last = first + work->at_once;
    if (last > work->call.new_positions) last = work->call.new_positions;
    if (!attention_attend(&work->shape, &work->call, row, kv_head, first, last))
        work->without_memory = 1;
}

static void write_one(void *data, size_t task) {
    const Work *work = data;
    attention_write(&work->shape, &work->call, task / work->shape.kv_heads,
                    task % work->shape.kv_heads);
}
/* The last pieces, which look back farthest, come first. */
static void attend_one(void *data, size_t task) {
    Work *work = data;
    const size_t others = work->call.rows * work->shape.kv_heads;
    attend(work, task % others, (work->pieces - 1 - task / others) * work->at_once);
}
static void write_and_attend(void *data, size_t task) {
    write_one(data, task);
    attend(data, task, 0);
}

/* A piece reads what others of its row have written: with several, all is written first. */
static OrtStatus *run(const OrtApi *api, const OrtKernelContext *context, Work *work) {
    const size_t tasks = work->call.rows * work->shape.kv_heads;
    if (work->pieces == 1)
        return api->KernelContext_ParallelFor(context, write_and_attend, tasks, 0, work);
    OrtStatus *failed = api->KernelContext_ParallelFor(context, write_one, tasks, 0, work);
    if (failed) return failed;
    return api->KernelContext_ParallelFor(context, attend_one, tasks * work->pieces, 0, work);
}

/* The outputs' memory; the past moves there, unless it is there. */
static OrtStatus *prepare(const OrtApi *api, OrtKernelContext *context, const Tensor in[NUM_INPUTS],
                          Work *work) {
    AttentionCall *call = &work->call;
    const int64_t width = work->shape.num_heads * work->shape.head_dim;
    const int64_t dims[] = {in[QUERY].dims[0], in[QUERY].dims[1], width};
    const size_t num_bytes = (size_t)in[PAST_KEY].dims[0] * work->shape.kv_heads * call->capacity *
                             work->shape.head_dim * sizeof(float);
    OrtStatus *failed = new_output(api, context, ATTENDED, dims, 3, &call->out);
    if (!failed)
        failed = new_output(api, context, PRESENT_KEY, in[PAST_KEY].dims, 4, &call->keys);
    if (!failed)
        failed = new_output(api, context, PRESENT_VALUE, in[PAST_KEY].dims, 4, &call->values);
    if (failed) return failed;
    if (call->keys != in[PAST_KEY].data) memcpy(call->keys, in[PAST_KEY].data, num_bytes);
    if (call->values != in[PAST_VALUE].data) memcpy(call->values, in[PAST_VALUE].data, num_bytes);
    return NULL;
}

static OrtStatus *compute(void *state, OrtKernelContext *context) {
    const Kernel *kernel = state;
    const OrtApi *api = kernel->api;
    Work work = {.shape = kernel->shape};
    Tensor in[NUM_INPUTS];
    OrtStatus *failed = NULL;
    for (size_t i = 0; i < NUM_INPUTS && !failed; i++) failed = read_input(api, context, i, &in[i]);
    if (failed) return failed;
    const char *wrong = understand(in, &work);
    if (wrong) return api->CreateStatus(ORT_INVALID_ARGUMENT, wrong);
    if (work.shape.scale == 0) work.shape.scale = 1 / sqrtf((float)work.shape.head_dim);
    failed = prepare(api, context, in, &work);
    if (failed) return failed;
    work.at_once = attention_positions_at_once(&work.shape);
    work.pieces = (work.call.new_positions + work.at_once - 1) / work.at_once;
    failed = run(api, context, &work);
    if (!failed && work.without_memory)
        failed = api->CreateStatus(ORT_FAIL, "there is no memory for the attention's scores");
    return failed;
}

static const char *name(const OrtCustomOp *op) { return (void)op, "RowsAttention"; }
static size_t num_inputs(const OrtCustomOp *op) { return (void)op, NUM_INPUTS; }
static size_t num_outputs(const OrtCustomOp *op) { return (void)op, NUM_OUTPUTS; }
static int input_type(const OrtCustomOp *op, size_t index) {
    return (void)op, index == LAST_POSITIONS ? ORT_INT32 : ORT_FLOAT;
}

const OrtCustomOp attention_operator = {
    OPERATOR,
    .GetName = name,
    .GetInputTypeCount = num_inputs,
    .GetInputType = input_type,
    .GetOutputTypeCount = num_outputs,
    .CreateKernelV2 = new_kernel,
    .KernelComputeV2 = compute,
    .KernelDestroy = free,
};

/* Causal attention of new positions over KV memory, with rotary positions, in float32.
 *
 * Every position is computed by the same operations in the same order, whether it comes alone, with
 * others of its row, or with other rows. So prompts in any pieces, decoding, and the verification of
 * drafts all give the same to the bit.
 *
 * Source: what ONNX Runtime's GroupQueryAttention does,
 * https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What a model's attention is. */
typedef struct {
    size_t num_heads, kv_heads, head_dim; /* the last a multiple of 16 */
    size_t rotary_dim;                    /* of a head's beginning; 0: no positions */
    int interleaved;                      /* whether neighbours are rotated, or halves */
    float scale, softcap;                 /* of scores; no cap: 0 */
    int64_t window;                       /* tokens that are looked at, its own included; all: -1 */
} AttentionShape;

/* New positions of some rows; a head of position t in row b begins at
 * b * row_stride + t * position_stride + head * head_dim. */
typedef struct {
    const float *query, *key, *value;
    size_t row_stride, position_stride; /* of the query */
    size_t kv_row_stride, kv_position_stride;
    float *out; /* [rows][new_positions][num_heads][head_dim] */
    float *keys, *values; /* [rows][kv_heads][capacity][head_dim] */
    const float *cosines, *sines; /* [.., rotary_dim / 2] */
    const int32_t *last_positions; /* [rows] */
    size_t rows, new_positions, capacity;
} AttentionCall;

/* Puts the new positions' keys and values of one row and KV head where they belong. */
void attention_write(const AttentionShape *shape, const AttentionCall *call, size_t row,
                     size_t kv_head);

/* How many positions it is good to attend for at once. */
size_t attention_positions_at_once(const AttentionShape *shape);

/* New positions first <= t < last of one row, for the heads that share one KV head; 0 if there is no
 * memory. */
int attention_attend(const AttentionShape *shape, const AttentionCall *call, size_t row,
                     size_t kv_head, size_t first, size_t last);

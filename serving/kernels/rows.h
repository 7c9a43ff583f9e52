/* Activations in int8, each row on a scale of its own. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum {
    GROUP = 4,    /* values that VPDPBUSD multiplies and sums at once */
    BLOCK = 32,   /* values of a column that share a scale in int4; rows are padded to whole blocks */
    LANES = 16,   /* sums in a register */
    MOST_ROWS = 6 /* whose sums stay in registers while a panel is read */
};

/* x[m, k] is about values[m, k] * scales[m]. */
typedef struct {
    size_t rows, blocks;
    int8_t *values;      /* [rows][blocks * BLOCK], zeros beyond the activations */
    int32_t *block_sums; /* [rows][blocks], of the values */
    int32_t *sums;       /* [rows], of the values */
    float *scales;       /* [rows], max |x| / 127 */
} Rows;

static inline size_t num_blocks(size_t length) { return (length + BLOCK - 1) / BLOCK; }

/* 0 if there is no memory. */
int rows_allocate(Rows *rows, size_t count, size_t length);
void rows_free(Rows *rows);

/* Row m of x [.., length]. */
void rows_quantize(Rows *rows, size_t m, const float *x, size_t length);

/* How many of `left` rows to read a panel with, so that the last ones are not left alone. */
static inline size_t rows_at_once(size_t left) {
    if (left > 2 * MOST_ROWS) return MOST_ROWS;
    return left > MOST_ROWS ? (left + 1) / 2 : left;
}

/* Products of rows in int8 with a constant matrix [K, N], in panels of columns that are read from
 * front to back.
 *
 *     int8: out[m, n] = (sum over k of q[m, k] * w[k, n]) * column_scale[n] * row_scale[m]
 *     int4: out[m, n] = (sum over blocks of (sum in the block of q[m, k] * w[k, n])
 *                        * block_scale[block, n]) * row_scale[m]
 *
 * Every row is computed by the same operations in the same order, whoever its neighbours are and
 * however the work is cut: its result is the same to the bit, and int8's is that of exact sums.
 *
 * Weights are held unsigned, around 128 or 8, for VPDPBUSD, which multiplies unsigned by signed.
 */
#pragma once

#include "rows.h"

enum { AHEAD = 4096 }; /* bytes of a panel that are fetched before they are needed */

typedef struct Panels Panels;
typedef void Multiply(const Panels *panels, size_t panel, const Rows *rows, size_t first,
                      size_t last, float *out);

struct Panels {
    Multiply *multiply;     /* columns of one panel, rows first <= m < last, into out [.., N] */
    size_t length, columns; /* K, N */
    size_t count, panel_bytes;
    uint8_t *memory; /* [count][panel_bytes] */
};

/* Panels of zeros, in huge pages; NULL if there is no memory. */
Panels *panels_new(Multiply *multiply, size_t length, size_t columns, size_t width,
                   size_t panel_bytes);
void panels_free(Panels *panels);

/* matrix [K, N], column_scales [N]. */
Panels *panels_of_int8(const int8_t *matrix, const float *column_scales, size_t length,
                       size_t columns);
/* As MatMulNBits has them: nibbles [N, blocks, BLOCK / 2], the lower first; scales [N, blocks]. */
Panels *panels_of_int4(const uint8_t *nibbles, const float *block_scales, size_t length,
                       size_t columns);

/* The mask of those of LANES columns, from `column` on, that there are. */
static inline uint16_t columns_inside(const Panels *panels, size_t column) {
    size_t left = column < panels->columns ? panels->columns - column : 0;
    return left < LANES ? (uint16_t)((1u << left) - 1) : (uint16_t)0xffff;
}

/* Defines `multiply` by some_rows(count, ..), in which count is a constant. */
#define BY(some_rows, count)                                                                      \
    case count: some_rows(count, panels, panel, rows, first, out); break
#define MULTIPLY_BY(some_rows)                                                                    \
    __attribute__((TARGET)) static void multiply(const Panels *panels, size_t panel,              \
                                                 const Rows *rows, size_t first, size_t last,     \
                                                 float *out) {                                    \
        for (size_t count; first < last; first += count) {                                        \
            count = rows_at_once(last - first);                                                   \
            switch (count) {                                                                      \
                BY(some_rows, 1);                                                                 \
                BY(some_rows, 2);                                                                 \
                BY(some_rows, 3);                                                                 \
                BY(some_rows, 4);                                                                 \
                BY(some_rows, 5);                                                                 \
                BY(some_rows, 6);                                                                 \
            }                                                                                     \
        }                                                                                         \
    }

#include <immintrin.h>
#include <string.h>

#include "panels.h"

#define UNROLL _Pragma("GCC unroll 8")
#define TARGET target("avx512f,avx512bw,avx512vl,avx512vnni")
enum { VECTORS = 2, COLUMNS = VECTORS * LANES, MIDDLE = 8 };
enum { PAIR = 2 * GROUP, PAIRS = BLOCK / PAIR }; /* two groups share bytes: the lower nibbles, the upper */

/* Panels are [blocks] of these. */
typedef struct {
    float scales[COLUMNS];
    uint8_t nibbles[PAIRS][COLUMNS][GROUP];
} Block;

static Multiply multiply;

Panels *panels_of_int4(const uint8_t *nibbles, const float *block_scales, size_t length,
                       size_t columns) {
    size_t blocks = num_blocks(length), panel_bytes = blocks * sizeof(Block);
    Panels *panels = panels_new(multiply, length, columns, COLUMNS, panel_bytes);
    if (!panels) return NULL;
    for (size_t n = 0; n < columns; n++) {
        Block *panel = (Block *)(panels->memory + n / COLUMNS * panel_bytes);
        for (size_t b = 0; b < blocks; b++) {
            const uint8_t *from = nibbles + (n * blocks + b) * BLOCK / 2;
            panel[b].scales[n % COLUMNS] = block_scales[n * blocks + b];
            for (size_t pair = 0; pair < PAIRS; pair++, from += PAIR / 2) {
                uint8_t *to = panel[b].nibbles[pair][n % COLUMNS];
                to[0] = (uint8_t)((from[0] & 15) | from[2] << 4);
                to[1] = (uint8_t)(from[0] >> 4 | (from[2] & 240));
                to[2] = (uint8_t)((from[1] & 15) | from[3] << 4);
                to[3] = (uint8_t)(from[1] >> 4 | (from[3] & 240));
            }
        }
    }
    return panels;
}

/* `count` is a constant wherever this is inlined, so that all sums stay in registers. */
__attribute__((TARGET, always_inline)) static inline void some_rows(
    const size_t count, const Panels *panels, size_t panel, const Rows *rows, size_t first,
    float *out) {
    const size_t stride = rows->blocks * BLOCK;
    const Block *block = (const Block *)(panels->memory + panel * panels->panel_bytes);
    const int8_t *values = rows->values + first * stride;
    const int32_t *block_sums = rows->block_sums + first * rows->blocks;
    const __m512i nibble = _mm512_set1_epi8(15);
    __m512 y[MOST_ROWS][VECTORS];
    UNROLL for (size_t m = 0; m < count; m++)
        UNROLL for (size_t v = 0; v < VECTORS; v++) y[m][v] = _mm512_setzero_ps();
    for (size_t b = 0; b < rows->blocks; b++, block++) {
        __m512i sums[MOST_ROWS][VECTORS];
        UNROLL for (size_t m = 0; m < count; m++)
            UNROLL for (size_t v = 0; v < VECTORS; v++)
                sums[m][v] = _mm512_set1_epi32(-MIDDLE * block_sums[m * rows->blocks + b]);
        UNROLL for (size_t pair = 0; pair < PAIRS; pair++) {
            const int8_t *at = values + b * BLOCK + pair * PAIR;
            __m512i lower[VECTORS], upper[VECTORS];
            UNROLL for (size_t v = 0; v < VECTORS; v++) {
                __m512i both = _mm512_load_si512(block->nibbles[pair][v * LANES]);
                _mm_prefetch((const char *)block->nibbles[pair][v * LANES] + AHEAD, _MM_HINT_T0);
                lower[v] = _mm512_and_si512(both, nibble);
                upper[v] = _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble);
            }
            UNROLL for (size_t m = 0; m < count; m++) {
                int32_t fours[2];
                memcpy(fours, at + m * stride, PAIR);
                __m512i q = _mm512_set1_epi32(fours[0]), next = _mm512_set1_epi32(fours[1]);
                UNROLL for (size_t v = 0; v < VECTORS; v++) {
                    sums[m][v] = _mm512_dpbusd_epi32(sums[m][v], lower[v], q);
                    sums[m][v] = _mm512_dpbusd_epi32(sums[m][v], upper[v], next);
                }
            }
        }
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            __m512 scale = _mm512_load_ps(block->scales + v * LANES);
            UNROLL for (size_t m = 0; m < count; m++)
                y[m][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[m][v]), scale, y[m][v]);
        }
    }
    UNROLL for (size_t v = 0; v < VECTORS; v++) {
        size_t column = panel * COLUMNS + v * LANES;
        __mmask16 inside = columns_inside(panels, column);
        UNROLL for (size_t m = 0; m < count; m++) {
            __m512 scaled = _mm512_mul_ps(y[m][v], _mm512_set1_ps(rows->scales[first + m]));
            _mm512_mask_storeu_ps(out + (first + m) * panels->columns + column, inside, scaled);
        }
    }
}

MULTIPLY_BY(some_rows)

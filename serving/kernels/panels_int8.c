#include <immintrin.h>
#include <string.h>

#include "panels.h"

#define UNROLL _Pragma("GCC unroll 8")
#define TARGET target("avx512f,avx512bw,avx512vl,avx512vnni")
enum { VECTORS = 4, COLUMNS = VECTORS * LANES, MIDDLE = 128 };

typedef struct {
    float scales[COLUMNS];
    uint8_t weights[][COLUMNS][GROUP];
} Panel;

static Multiply multiply;

Panels *panels_of_int8(const int8_t *matrix, const float *column_scales, size_t length,
                       size_t columns) {
    size_t panel_bytes = sizeof(Panel) + num_blocks(length) * BLOCK * COLUMNS;
    Panels *panels = panels_new(multiply, length, columns, COLUMNS, panel_bytes);
    if (!panels) return NULL;
    for (size_t p = 0; p < panels->count; p++) {
        Panel *panel = (Panel *)(panels->memory + p * panel_bytes);
        size_t first = p * COLUMNS, left = columns - first < COLUMNS ? columns - first : COLUMNS;
        memcpy(panel->scales, column_scales + first, left * sizeof(float));
        for (size_t k = 0; k < length; k++)
            for (size_t n = 0; n < left; n++)
                panel->weights[k / GROUP][n][k % GROUP] =
                    (uint8_t)(matrix[k * columns + first + n] + MIDDLE);
    }
    return panels;
}

/* `count` is a constant wherever this is inlined, so that all sums stay in registers. */
__attribute__((TARGET, always_inline)) static inline void some_rows(
    const size_t count, const Panels *panels, size_t panel, const Rows *rows, size_t first,
    float *out) {
    const size_t stride = rows->blocks * BLOCK;
    const Panel *from = (const Panel *)(panels->memory + panel * panels->panel_bytes);
    const int8_t *values = rows->values + first * stride;
    out += first * panels->columns + panel * COLUMNS;
    __m512i sums[MOST_ROWS][VECTORS];
    UNROLL for (size_t m = 0; m < count; m++)
        UNROLL for (size_t v = 0; v < VECTORS; v++)
            sums[m][v] = _mm512_set1_epi32(-MIDDLE * rows->sums[first + m]);
    for (size_t group = 0; group < stride / GROUP; group++) {
        __m512i w[VECTORS];
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            w[v] = _mm512_load_si512(from->weights[group][v * LANES]);
            _mm_prefetch((const char *)from->weights[group][v * LANES] + AHEAD, _MM_HINT_T0);
        }
        UNROLL for (size_t m = 0; m < count; m++) {
            int32_t four;
            memcpy(&four, values + m * stride + group * GROUP, GROUP);
            __m512i q = _mm512_set1_epi32(four);
            UNROLL for (size_t v = 0; v < VECTORS; v++)
                sums[m][v] = _mm512_dpbusd_epi32(sums[m][v], w[v], q);
        }
    }
    __m512 scales[VECTORS];
    __mmask16 inside[VECTORS];
    UNROLL for (size_t v = 0; v < VECTORS; v++) {
        scales[v] = _mm512_load_ps(from->scales + v * LANES);
        inside[v] = columns_inside(panels, panel * COLUMNS + v * LANES);
    }
    UNROLL for (size_t m = 0; m < count; m++)
        UNROLL for (size_t v = 0; v < VECTORS; v++) {
            __m512 y = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[m][v]), scales[v]);
            y = _mm512_mul_ps(y, _mm512_set1_ps(rows->scales[first + m]));
            _mm512_mask_storeu_ps(out + m * panels->columns + v * LANES, inside[v], y);
        }
}

MULTIPLY_BY(some_rows)

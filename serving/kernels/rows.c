#include "rows.h"

#include <immintrin.h>
#include <stdlib.h>

#define TARGET target("avx512f,avx512bw,avx512vl")
enum { ALIGNMENT = 64 };
static const float INVERSE_MAX = 1.0 / 127;

static size_t aligned(size_t num_bytes) { return (num_bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }

/* One piece of memory for all four. */
int rows_allocate(Rows *rows, size_t count, size_t length) {
    size_t blocks = num_blocks(length);
    size_t values = aligned(count * blocks * BLOCK);
    size_t numbers = aligned(count * (blocks + 2) * sizeof(int32_t));
    char *memory = aligned_alloc(ALIGNMENT, values + numbers);
    *rows = (Rows){count, blocks, (int8_t *)memory, NULL, NULL, NULL};
    if (!memory) return 0;
    rows->block_sums = (int32_t *)(memory + values);
    rows->sums = rows->block_sums + count * blocks;
    rows->scales = (float *)(rows->sums + count);
    return 1;
}

void rows_free(Rows *rows) {
    free(rows->values);
    *rows = (Rows){0};
}

static inline __mmask16 inside(size_t from, size_t length) {
    if (from >= length) return 0;
    return length - from < LANES ? (__mmask16)((1u << (length - from)) - 1) : (__mmask16)0xffff;
}

/* max |x|, NaN if there is one: compared as whole numbers, sizes of floats keep their order and NaN
 * is above them all, while a comparison of floats would lose it. */
__attribute__((TARGET)) static float largest(const float *x, size_t length) {
    __m512i most = _mm512_setzero_si512();
    for (size_t k = 0; k < length; k += LANES) {
        __m512 size = _mm512_abs_ps(_mm512_maskz_loadu_ps(inside(k, length), x + k));
        most = _mm512_max_epi32(most, _mm512_castps_si512(size));
    }
    return _mm_cvtss_f32(_mm_castsi128_ps(_mm_cvtsi32_si128(_mm512_reduce_max_epi32(most))));
}

/* Rounds as ONNX's QuantizeLinear does, x / scale to the nearest, ties to even. A row of zeros
 * divides by zero, which rounds to what is multiplied by its scale, zero. */
__attribute__((TARGET)) void rows_quantize(Rows *rows, size_t m, const float *x, size_t length) {
    int8_t *values = rows->values + m * rows->blocks * BLOCK;
    const float *from = x + m * length;
    const float scale = largest(from, length) * INVERSE_MAX;
    const __m512 scales = _mm512_set1_ps(scale);
    int32_t sum = 0;
    for (size_t block = 0; block < rows->blocks; block++) {
        __m512i sums = _mm512_setzero_si512();
        for (size_t k = block * BLOCK; k < (block + 1) * BLOCK; k += LANES) {
            __m512 some = _mm512_maskz_loadu_ps(inside(k, length), from + k);
            __m512i q = _mm512_maskz_cvtps_epi32(inside(k, length), _mm512_div_ps(some, scales));
            __m128i bytes = _mm512_cvtsepi32_epi8(q);
            _mm_storeu_si128((__m128i *)(values + k), bytes);
            sums = _mm512_add_epi32(sums, _mm512_cvtepi8_epi32(bytes));
        }
        rows->block_sums[m * rows->blocks + block] = _mm512_reduce_add_epi32(sums);
        sum += rows->block_sums[m * rows->blocks + block];
    }
    rows->sums[m] = sum;
    rows->scales[m] = scale;
}

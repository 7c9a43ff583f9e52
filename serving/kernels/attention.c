#include "attention.h"

#include <immintrin.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "rows.h"

#define UNROLL _Pragma("GCC unroll 16")
#define TARGET target("avx512f,avx512bw,avx512vl,avx512dq,fma")
enum { KEYS = LANES, CHUNK = 4, QUERIES_AT_ONCE = 32 };

/* Scores of some queries against the keys from `begin` on, which is a multiple of KEYS. */
typedef struct {
    float *queries; /* [count][head_dim] */
    float *scores;  /* [count][width] */
    size_t count, begin, width;
} Work;

static size_t position_of(const AttentionCall *call, size_t row, size_t t) {
    return (size_t)call->last_positions[row] + t + 1 - call->new_positions;
}

/* The first key that a position looks at. */
static size_t first_key(const AttentionShape *shape, size_t position) {
    if (shape->window < 1 || position < (size_t)shape->window) return 0;
    return position + 1 - (size_t)shape->window;
}

static const float *cache(const float *memory, const AttentionShape *shape,
                          const AttentionCall *call, size_t row, size_t kv_head) {
    return memory + (row * shape->kv_heads + kv_head) * call->capacity * shape->head_dim;
}

static inline __mmask16 lanes(size_t left) {
    return left < LANES ? (__mmask16)((1u << left) - 1) : (__mmask16)0xffff;
}

static void rotate_neighbours(const float *from, const float *cosine, const float *sine,
                              size_t half, float scale, float *to) {
    for (size_t i = 0; i < half; i++) {
        const float x = from[2 * i], y = from[2 * i + 1];
        to[2 * i] = (x * cosine[i] - y * sine[i]) * scale;
        to[2 * i + 1] = (y * cosine[i] + x * sine[i]) * scale;
    }
}

__attribute__((TARGET)) static void rotate_halves(const float *from, const float *cosine,
                                                  const float *sine, size_t half, float scale,
                                                  float *to) {
    const __m512 scales = _mm512_set1_ps(scale);
    for (size_t i = 0; i < half; i += LANES) {
        const __mmask16 some = lanes(half - i);
        __m512 c = _mm512_maskz_loadu_ps(some, cosine + i), s = _mm512_maskz_loadu_ps(some, sine + i);
        __m512 x = _mm512_maskz_loadu_ps(some, from + i);
        __m512 y = _mm512_maskz_loadu_ps(some, from + half + i);
        __m512 turned_x = _mm512_fmsub_ps(x, c, _mm512_mul_ps(y, s));
        __m512 turned_y = _mm512_fmadd_ps(y, c, _mm512_mul_ps(x, s));
        _mm512_mask_storeu_ps(to + i, some, _mm512_mul_ps(turned_x, scales));
        _mm512_mask_storeu_ps(to + half + i, some, _mm512_mul_ps(turned_y, scales));
    }
}

/* to = a head, rotated to its position, times scale */
static void rotate(const AttentionShape *shape, const AttentionCall *call, const float *from,
                   size_t position, float scale, float *to) {
    const size_t half = shape->rotary_dim / 2;
    const float *cosine = call->cosines + position * half, *sine = call->sines + position * half;
    if (shape->interleaved) rotate_neighbours(from, cosine, sine, half, scale, to);
    else rotate_halves(from, cosine, sine, half, scale, to);
    for (size_t i = shape->rotary_dim; i < shape->head_dim; i++) to[i] = from[i] * scale;
}

void attention_write(const AttentionShape *shape, const AttentionCall *call, size_t row,
                     size_t kv_head) {
    float *keys = (float *)cache(call->keys, shape, call, row, kv_head);
    float *values = (float *)cache(call->values, shape, call, row, kv_head);
    for (size_t t = 0; t < call->new_positions; t++) {
        const size_t position = position_of(call, row, t);
        const size_t from = row * call->kv_row_stride + t * call->kv_position_stride +
                            kv_head * shape->head_dim;
        rotate(shape, call, call->key + from, position, 1, keys + position * shape->head_dim);
        memcpy(values + position * shape->head_dim, call->value + from,
               shape->head_dim * sizeof(float));
    }
}

/* The sum of each of 16 vectors. */
__attribute__((TARGET, always_inline)) static inline __m512 sums_of(const __m512 each[KEYS]) {
    __m512 fours[CHUNK];
    UNROLL for (size_t i = 0; i < CHUNK; i++) {
        const __m512 *four = each + i * CHUNK;
        __m512 one = _mm512_add_ps(_mm512_unpacklo_ps(four[0], four[1]),
                                   _mm512_unpackhi_ps(four[0], four[1]));
        __m512 two = _mm512_add_ps(_mm512_unpacklo_ps(four[2], four[3]),
                                   _mm512_unpackhi_ps(four[2], four[3]));
        __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(one), _mm512_castps_pd(two));
        __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(one), _mm512_castps_pd(two));
        fours[i] = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    }
    __m512 lower = _mm512_add_ps(_mm512_shuffle_f32x4(fours[0], fours[1], 0x88),
                                 _mm512_shuffle_f32x4(fours[0], fours[1], 0xdd));
    __m512 upper = _mm512_add_ps(_mm512_shuffle_f32x4(fours[2], fours[3], 0x88),
                                 _mm512_shuffle_f32x4(fours[2], fours[3], 0xdd));
    return _mm512_add_ps(_mm512_shuffle_f32x4(lower, upper, 0x88),
                         _mm512_shuffle_f32x4(lower, upper, 0xdd));
}

/* Scores of all queries for the keys begin <= k <= last; what comes after `last` is its score. */
__attribute__((TARGET)) static void score(const AttentionShape *shape, const Work *work,
                                          const float *keys, size_t last) {
    const size_t length = shape->head_dim;
    for (size_t k = work->begin; k <= last; k += KEYS) {
        const float *key[KEYS];
        for (size_t i = 0; i < KEYS; i++) key[i] = keys + (k + i < last ? k + i : last) * length;
        for (size_t q = 0; q < work->count; q++) {
            const float *query = work->queries + q * length;
            __m512 products[KEYS];
            UNROLL for (size_t i = 0; i < KEYS; i++) products[i] = _mm512_setzero_ps();
            for (size_t d = 0; d < length; d += LANES) {
                __m512 part = _mm512_loadu_ps(query + d);
                UNROLL for (size_t i = 0; i < KEYS; i++)
                    products[i] = _mm512_fmadd_ps(part, _mm512_loadu_ps(key[i] + d), products[i]);
            }
            _mm512_storeu_ps(work->scores + q * work->width + k - work->begin, sums_of(products));
        }
    }
}

/* e^x for x <= 0 to about 1e-7; 0 for -infinity. Halves of ln 2 and the polynomial: Cephes' expf. */
__attribute__((TARGET, always_inline)) static inline __m512 exponential(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-104));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 0);
    x = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    x = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), x);
    const float terms[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f,
                           1.6666665459e-1f, 5.0000001201e-1f, 1, 1};
    __m512 y = _mm512_set1_ps(1.9875691500e-4f);
    UNROLL for (size_t i = 0; i < sizeof(terms) / sizeof(*terms); i++)
        y = _mm512_fmadd_ps(y, x, _mm512_set1_ps(terms[i]));
    return _mm512_scalef_ps(y, n);
}

static void cap(float *scores, size_t count, float softcap) {
    for (size_t k = 0; k < count; k++) scores[k] = softcap * tanhf(scores[k] / softcap);
}

/* e^(score - the largest) for keys first <= k <= last, 0 for others; returns 1 / their sum. */
__attribute__((TARGET)) static float soften(float *scores, const Work *work, size_t first,
                                            size_t last) {
    const __m512i places = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const size_t begin = first / KEYS * KEYS;
    __m512 largest = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();
    for (size_t k = begin; k <= last; k += KEYS) {
        __m512i place = _mm512_add_epi32(places, _mm512_set1_epi32((int)k));
        __mmask16 seen = _mm512_cmpge_epi32_mask(place, _mm512_set1_epi32((int)first)) &
                         _mm512_cmple_epi32_mask(place, _mm512_set1_epi32((int)last));
        float *at = scores + k - work->begin;
        __m512 some = _mm512_mask_loadu_ps(_mm512_set1_ps(-INFINITY), seen, at);
        largest = _mm512_max_ps(largest, some);
        _mm512_storeu_ps(at, some);
    }
    largest = _mm512_set1_ps(_mm512_reduce_max_ps(largest));
    for (size_t k = begin; k <= last; k += KEYS) {
        float *at = scores + k - work->begin;
        __m512 some = exponential(_mm512_sub_ps(_mm512_loadu_ps(at), largest));
        sum = _mm512_add_ps(sum, some);
        _mm512_storeu_ps(at, some);
    }
    memset(scores, 0, (begin - work->begin) * sizeof(float));
    const size_t end = last / KEYS * KEYS + KEYS - work->begin;
    memset(scores + end, 0, (work->width - end) * sizeof(float));
    return 1 / _mm512_reduce_add_ps(sum);
}

/* Sums of values, weighed by the scores of some queries; both counts are constants wherever this is
 * inlined. */
__attribute__((TARGET, always_inline)) static inline void weigh(
    const size_t queries, const size_t vectors, const Work *work, const float *values,
    size_t length, size_t last, const float *scores, float *sums) {
    __m512 y[MOST_ROWS][CHUNK];
    UNROLL for (size_t q = 0; q < queries; q++)
        UNROLL for (size_t v = 0; v < vectors; v++) y[q][v] = _mm512_setzero_ps();
    for (size_t k = work->begin; k <= last; k++) {
        __m512 value[CHUNK];
        UNROLL for (size_t v = 0; v < vectors; v++)
            value[v] = _mm512_loadu_ps(values + k * length + v * LANES);
        UNROLL for (size_t q = 0; q < queries; q++) {
            __m512 weight = _mm512_set1_ps(scores[q * work->width + k - work->begin]);
            UNROLL for (size_t v = 0; v < vectors; v++)
                y[q][v] = _mm512_fmadd_ps(weight, value[v], y[q][v]);
        }
    }
    UNROLL for (size_t q = 0; q < queries; q++)
        UNROLL for (size_t v = 0; v < vectors; v++)
            _mm512_storeu_ps(sums + q * length + v * LANES, y[q][v]);
}

#define WEIGH(queries)                                                                            \
    case queries:                                                                                 \
        for (; d + CHUNK * LANES <= length; d += CHUNK * LANES)                                   \
            weigh(queries, CHUNK, work, values + d, length, last, scores, sums + d);              \
        for (; d < length; d += LANES)                                                            \
            weigh(queries, 1, work, values + d, length, last, scores, sums + d);                  \
        break

/* All queries' sums, in the place of the queries. */
__attribute__((TARGET)) static void weigh_all(const AttentionShape *shape, const Work *work,
                                              const float *values, size_t last) {
    const size_t length = shape->head_dim;
    for (size_t q = 0, some; q < work->count; q += some) {
        const float *scores = work->scores + q * work->width;
        float *sums = work->queries + q * length;
        size_t d = 0;
        some = rows_at_once(work->count - q);
        switch (some) {
            WEIGH(1);
            WEIGH(2);
            WEIGH(3);
            WEIGH(4);
            WEIGH(5);
            WEIGH(6);
        }
    }
}

size_t attention_positions_at_once(const AttentionShape *shape) {
    const size_t group = shape->num_heads / shape->kv_heads;
    return group < QUERIES_AT_ONCE ? QUERIES_AT_ONCE / group : 1;
}

int attention_attend(const AttentionShape *shape, const AttentionCall *call, size_t row,
                     size_t kv_head, size_t first, size_t last) {
    const size_t group = shape->num_heads / shape->kv_heads, length = shape->head_dim;
    const size_t final = position_of(call, row, last - 1);
    const float *keys = cache(call->keys, shape, call, row, kv_head);
    const float *values = cache(call->values, shape, call, row, kv_head);
    Work work = {.count = (last - first) * group};
    work.begin = first_key(shape, position_of(call, row, first)) / KEYS * KEYS;
    work.width = final / KEYS * KEYS + KEYS - work.begin;
    work.queries = malloc(work.count * (length + work.width) * sizeof(float));
    if (!work.queries) return 0;
    work.scores = work.queries + work.count * length;
    for (size_t q = 0; q < work.count; q++) {
        const size_t t = first + q / group, head = kv_head * group + q % group;
        const float *from =
            call->query + row * call->row_stride + t * call->position_stride + head * length;
        rotate(shape, call, from, position_of(call, row, t), shape->scale,
               work.queries + q * length);
    }
    score(shape, &work, keys, final);
    float *weights = malloc(work.count * sizeof(float));
    if (!weights) return free(work.queries), 0;
    for (size_t q = 0; q < work.count; q++) {
        const size_t position = position_of(call, row, first + q / group);
        float *scores = work.scores + q * work.width;
        if (shape->softcap > 0) cap(scores, work.width, shape->softcap);
        weights[q] = soften(scores, &work, first_key(shape, position), position);
    }
    weigh_all(shape, &work, values, final);
    for (size_t q = 0; q < work.count; q++) {
        const size_t t = first + q / group, head = kv_head * group + q % group;
        float *out = call->out + ((row * call->new_positions + t) * shape->num_heads + head) * length;
        for (size_t d = 0; d < length; d++) out[d] = work.queries[q * length + d] * weights[q];
    }
    free(weights);
    free(work.queries);
    return 1;
}

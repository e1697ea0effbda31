/* SPDX-License-Identifier: MIT */
#include "sha256.h"

#include <assert.h>
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) || defined(__i386__)

#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>

#define WITH_SHA __attribute__((target("sha,sse4.1")))
#define INLINE static inline __attribute__((always_inline)) WITH_SHA

/* A message on its way. The instructions want the state's words as A B E F and C D G H. */
struct lane {
    const uint8_t *data;
    __m128i abef, cdgh;
    __m128i words[4]; /* the last 16 of its schedule */
};

/* The cube roots' fractions of the first 64 primes. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

INLINE void lane_begin(struct lane *lane, const struct s3_sha256 *sum, const uint8_t *data)
{
    __m128i dcba = _mm_loadu_si128((const void *)sum->state);
    __m128i hgfe = _mm_loadu_si128((const void *)(sum->state + 4));
    __m128i cdab = _mm_shuffle_epi32(dcba, 0xb1), efgh = _mm_shuffle_epi32(hgfe, 0x1b);

    lane->data = data;
    lane->abef = _mm_alignr_epi8(cdab, efgh, 8);
    lane->cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
}

INLINE void lane_end(const struct lane *lane, struct s3_sha256 *sum)
{
    __m128i feba = _mm_shuffle_epi32(lane->abef, 0x1b), dchg = _mm_shuffle_epi32(lane->cdgh, 0xb1);

    _mm_storeu_si128((void *)sum->state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((void *)(sum->state + 4), _mm_alignr_epi8(dchg, feba, 8));
}

INLINE void lane_load(struct lane *lane)
{
    const __m128i big_endian = _mm_set_epi8(12, 13, 14, 15, 8, 9, 10, 11, 4, 5, 6, 7, 0, 1, 2, 3);

    for (unsigned i = 0; i < 4; i++)
        lane->words[i] =
            _mm_shuffle_epi8(_mm_loadu_si128((const void *)(lane->data + 16 * i)), big_endian);
    lane->data += S3_SHA256_BLOCK;
}

/* Four rounds, and the four words that are needed sixteen rounds later. */
INLINE void lane_rounds(struct lane *lane, unsigned four)
{
    __m128i *now = &lane->words[four % 4];
    const __m128i next = lane->words[(four + 1) % 4], third = lane->words[(four + 2) % 4],
                  last = lane->words[(four + 3) % 4];
    __m128i sum = _mm_add_epi32(*now, _mm_load_si128((const void *)(constants + 4 * four)));

    lane->cdgh = _mm_sha256rnds2_epu32(lane->cdgh, lane->abef, sum);
    lane->abef = _mm_sha256rnds2_epu32(lane->abef, lane->cdgh, _mm_shuffle_epi32(sum, 0x0e));
    if (four < 12)
        *now = _mm_sha256msg2_epu32(
            _mm_add_epi32(_mm_sha256msg1_epu32(*now, next), _mm_alignr_epi8(last, third, 4)), last);
}

/* The compiler makes a loop for each count, in which rounds of all lanes alternate. */
INLINE void run(struct lane *lanes, unsigned count, size_t blocks)
{
    for (; blocks > 0; blocks--) {
        __m128i abef[2], cdgh[2];

#pragma GCC unroll 2
        for (unsigned i = 0; i < count; i++) {
            abef[i] = lanes[i].abef;
            cdgh[i] = lanes[i].cdgh;
            lane_load(&lanes[i]);
        }
#pragma GCC unroll 16
        for (unsigned four = 0; four < 16; four++)
#pragma GCC unroll 2
            for (unsigned i = 0; i < count; i++)
                lane_rounds(&lanes[i], four);
#pragma GCC unroll 2
        for (unsigned i = 0; i < count; i++) {
            lanes[i].abef = _mm_add_epi32(lanes[i].abef, abef[i]);
            lanes[i].cdgh = _mm_add_epi32(lanes[i].cdgh, cdgh[i]);
        }
    }
}

static pthread_once_t asked_once = PTHREAD_ONCE_INIT;
static bool can;

/* Every processor with these has the older ones. In a virtual machine the question leaves it. */
static void ask(void)
{
    unsigned a, b, c, d;

    can = __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_SHA;
}

bool s3_sha256_can(void)
{
    pthread_once(&asked_once, ask);
    return can;
}

WITH_SHA void s3_sha256_one(struct s3_sha256 *sum, const uint8_t *data, size_t blocks)
{
    struct lane lane;

    lane_begin(&lane, sum, data);
    run(&lane, 1, blocks);
    lane_end(&lane, sum);
    sum->size += blocks * S3_SHA256_BLOCK;
}

WITH_SHA void s3_sha256_two(struct s3_sha256 *sum, const uint8_t *data, struct s3_sha256 *other,
                            const uint8_t *other_data, size_t blocks)
{
    struct lane lanes[2];

    lane_begin(&lanes[0], sum, data);
    lane_begin(&lanes[1], other, other_data);
    run(lanes, 2, blocks);
    lane_end(&lanes[0], sum);
    lane_end(&lanes[1], other);
    sum->size += blocks * S3_SHA256_BLOCK;
    other->size += blocks * S3_SHA256_BLOCK;
}

#else

bool s3_sha256_can(void)
{
    return false;
}

void s3_sha256_one(struct s3_sha256 *sum, const uint8_t *data, size_t blocks)
{
    (void)sum;
    (void)data;
    (void)blocks;
    abort();
}

void s3_sha256_two(struct s3_sha256 *sum, const uint8_t *data, struct s3_sha256 *other,
                   const uint8_t *other_data, size_t blocks)
{
    s3_sha256_one(sum, data, blocks);
    s3_sha256_one(other, other_data, blocks);
}

#endif

void s3_sha256_init(struct s3_sha256 *sum)
{
    /* The square roots' fractions of the first 8 primes. */
    *sum = (struct s3_sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                                        0x9b05688c, 0x1f83d9ab, 0x5be0cd19}};
}

void s3_sha256_end(struct s3_sha256 *sum, const uint8_t *data, size_t size,
                   uint8_t digest[S3_SHA256_SIZE])
{
    uint8_t padded[2 * S3_SHA256_BLOCK] = {0};
    uint64_t bits = htobe64((sum->size + size) * 8);
    size_t blocks = size + 1 + sizeof(bits) > S3_SHA256_BLOCK ? 2 : 1;

    assert(size < S3_SHA256_BLOCK);
    if (size > 0)
        memcpy(padded, data, size);
    padded[size] = 0x80;
    memcpy(padded + blocks * S3_SHA256_BLOCK - sizeof(bits), &bits, sizeof(bits));
    s3_sha256_one(sum, padded, blocks);
    for (unsigned i = 0; i < 8; i++) {
        uint32_t word = htobe32(sum->state[i]);

        memcpy(digest + 4 * i, &word, sizeof(word));
    }
}

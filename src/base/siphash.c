/* SPDX-License-Identifier: BSD-2-Clause */
#include "base/siphash.h"

#include <string.h>

struct sip {
    uint64_t a, b, c, d; /* the paper's v0 to v3 */
};

static uint64_t
rotate(uint64_t x, unsigned bits)
{
    return x << bits | x >> (64 - bits);
}

static void
sip_round(struct sip *sip)
{
    sip->a += sip->b;
    sip->c += sip->d;
    sip->b = rotate(sip->b, 13) ^ sip->a;
    sip->d = rotate(sip->d, 16) ^ sip->c;
    sip->a = rotate(sip->a, 32);
    sip->c += sip->b;
    sip->a += sip->d;
    sip->b = rotate(sip->b, 17) ^ sip->c;
    sip->d = rotate(sip->d, 21) ^ sip->a;
    sip->c = rotate(sip->c, 32);
}

static void
sip_word(struct sip *sip, uint64_t word)
{
    sip->d ^= word;
    sip_round(sip);
    sip->a ^= word;
}

uint64_t
siphash(const uint64_t seed[2], const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    size_t rest = len;
    struct sip sip = {seed[0] ^ 0x736f6d6570736575, seed[1] ^ 0x646f72616e646f6d,
                      seed[0] ^ 0x6c7967656e657261, seed[1] ^ 0x7465646279746573};
    uint64_t word;

    for (; rest >= sizeof word; rest -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        sip_word(&sip, word);
    }
    word = 0;
    memcpy(&word, at, rest);
    sip_word(&sip, word | (uint64_t)len << 56);
    sip.c ^= 0xff;
    sip_round(&sip);
    sip_round(&sip);
    sip_round(&sip);
    return sip.a ^ sip.b ^ sip.c ^ sip.d;
}

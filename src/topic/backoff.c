/* SPDX-License-Identifier: BSD-2-Clause */
#include "topic/backoff.h"

#include <math.h>
#include <stdint.h>
#include <sys/random.h>

double
backoff_delay(unsigned failures, double first, double most)
{
    uint32_t random = UINT32_MAX;
    double limit = fmin(most, ldexp(first, failures < 32 ? (int)failures : 32));

    /* Without random bytes the whole time is waited. */
    (void)!getrandom(&random, sizeof random, GRND_NONBLOCK);
    return limit * random / UINT32_MAX;
}

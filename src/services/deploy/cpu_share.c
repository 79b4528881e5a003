/* SPDX-License-Identifier: Apache-2.0 */
/* A share of CPU time. Thread rule: any; the one number is swapped until it fits. */
#include "services/deploy/cpu_share.h"

static const uint64_t UNUSED_NS = 100000000, SPENT_MAX_NS = 3600000000000;

uint64_t ig_cpu_share_wait_ns(const struct ig_cpu_share *share, uint64_t now_ns)
{
    if (!share->thousandths) return 0;
    uint64_t until_ns = atomic_load_explicit(&share->paid_until_ns, memory_order_relaxed);
    return until_ns > now_ns ? until_ns - now_ns : 0;
}

void ig_cpu_share_spend(struct ig_cpu_share *share, uint64_t spent_ns, uint64_t now_ns)
{
    if (!share->thousandths) return;
    if (spent_ns > SPENT_MAX_NS) spent_ns = SPENT_MAX_NS;
    uint64_t price_ns = spent_ns * 1000 / share->thousandths;
    uint64_t least_ns = now_ns > UNUSED_NS ? now_ns - UNUSED_NS : 0, from_ns, until_ns;
    from_ns = atomic_load_explicit(&share->paid_until_ns, memory_order_relaxed);
    do until_ns = (from_ns > least_ns ? from_ns : least_ns) + price_ns;
    while (!atomic_compare_exchange_weak_explicit(&share->paid_until_ns, &from_ns, until_ns,
                                                  memory_order_relaxed, memory_order_relaxed));
}

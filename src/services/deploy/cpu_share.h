/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_CPU_SHARE_H
#define IG_SERVICES_DEPLOY_CPU_SHARE_H

/* CPU time that may be spent on average: a virtual clock (Zhang, VirtualClock, 1990) that each
 * spent nanosecond moves on by its price. Work may begin while that clock is not ahead of the real
 * one, so one piece of work may overdraw and the next ones wait for it. Unused time counts for 100
 * ms. Thread-safe, no lock. */

#include <stdatomic.h>
#include <stdint.h>

struct ig_cpu_share {
    uint32_t thousandths; /* of a core; 0: any */
    _Atomic uint64_t paid_until_ns;
};

/* How long to wait before work may begin; 0: now. `now_ns` by ig_clock_ns. */
uint64_t ig_cpu_share_wait_ns(const struct ig_cpu_share *share, uint64_t now_ns);
void ig_cpu_share_spend(struct ig_cpu_share *share, uint64_t spent_ns, uint64_t now_ns);

#endif

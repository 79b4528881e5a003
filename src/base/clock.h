/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CLOCK_H
#define IG_BASE_CLOCK_H

/* Time. Durations come from the monotonic clock only. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t ig_clock_ns(void);            /* monotonic */
uint64_t ig_clock_cpu_ns(void);        /* this process's CPU time */
uint64_t ig_clock_thread_cpu_ns(void); /* this thread's */
int64_t ig_clock_unix_ms(void);        /* wall clock, UTC */
enum { IG_CLOCK_ISO_SIZE = 25 };       /* "2026-01-31T23:59:59.123Z" + NUL */
/* Times outside the years 1000 to 9999 give the nearest end. */
void ig_clock_iso(char text[IG_CLOCK_ISO_SIZE], int64_t unix_ms);

/* How long something takes, of a few runs of it: `while (ig_clock_trial(&trial)) run();`. Begins as
 * {.long_ns = ...}: what takes so much CPU time is not repeated. Else there are two runs, and more
 * while this thread waited for most of the best one: other threads had the processor. */
struct ig_clock_trial {
    uint64_t long_ns;
    uint64_t best_ns; /* of all runs; 0 before the first has ended */
    uint64_t best_cpu_ns, start_ns, start_cpu_ns, spent_ns;
    int runs;
};
bool ig_clock_trial(struct ig_clock_trial *trial);

#endif

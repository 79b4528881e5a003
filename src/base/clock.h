/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_CLOCK_H
#define IG_BASE_CLOCK_H

/* Time. Durations come from the monotonic clock only. */

#include <stddef.h>
#include <stdint.h>

uint64_t ig_clock_ns(void);            /* monotonic */
uint64_t ig_clock_cpu_ns(void);        /* this process's CPU time */
uint64_t ig_clock_thread_cpu_ns(void); /* this thread's */
int64_t ig_clock_unix_ms(void);        /* wall clock, UTC */
enum { IG_CLOCK_ISO_SIZE = 25 };       /* "2026-01-31T23:59:59.123Z" + NUL */
/* Times outside the years 1000 to 9999 give the nearest end. */
void ig_clock_iso(char text[IG_CLOCK_ISO_SIZE], int64_t unix_ms);

#endif

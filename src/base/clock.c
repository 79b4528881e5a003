/* SPDX-License-Identifier: Apache-2.0 */
/* Time, by clock_gettime. Thread-safe. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static uint64_t read_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t ig_clock_ns(void)
{
    return read_ns(CLOCK_MONOTONIC);
}

uint64_t ig_clock_thread_cpu_ns(void)
{
    return read_ns(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t ig_clock_cpu_ns(void)
{
    return read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int64_t ig_clock_unix_ms(void)
{
    return (int64_t)(read_ns(CLOCK_REALTIME) / 1000000u);
}

void ig_clock_iso(char text[IG_CLOCK_ISO_SIZE], int64_t unix_ms)
{
    /* The years 1000 to 9999, so that the text has its one length. */
    const int64_t least = -30610224000000, most = 253402300799999;
    unix_ms = unix_ms < least ? least : unix_ms > most ? most : unix_ms;
    int64_t seconds = unix_ms / 1000, millis = unix_ms % 1000;
    if (millis < 0) {
        millis += 1000;
        seconds--;
    }
    time_t when = (time_t)seconds;
    struct tm utc;
    gmtime_r(&when, &utc);
    size_t used = strftime(text, IG_CLOCK_ISO_SIZE, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + used, IG_CLOCK_ISO_SIZE - used, ".%03dZ", (int)millis);
}

static bool is_done(const struct ig_clock_trial *trial)
{
    enum { RUNS = 2, RUNS_MAX = 8, LONG_RUNS_MAX = 16 };
    bool waited = trial->best_ns > 2 * trial->best_cpu_ns;
    if (trial->best_cpu_ns >= trial->long_ns || trial->runs >= RUNS_MAX) return true;
    if (trial->spent_ns >= LONG_RUNS_MAX * trial->long_ns) return true;
    return trial->runs >= RUNS && !waited;
}

bool ig_clock_trial(struct ig_clock_trial *trial)
{
    if (trial->runs > 0) {
        uint64_t took = ig_clock_ns() - trial->start_ns;
        uint64_t cpu = ig_clock_thread_cpu_ns() - trial->start_cpu_ns;
        trial->spent_ns += took;
        if (trial->runs == 1 || took < trial->best_ns) {
            trial->best_ns = took;
            trial->best_cpu_ns = cpu;
        }
        if (is_done(trial)) return false;
    }
    trial->runs++;
    trial->start_cpu_ns = ig_clock_thread_cpu_ns();
    trial->start_ns = ig_clock_ns();
    return true;
}
